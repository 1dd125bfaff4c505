import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { makeCheapRepository } from '../support/cheap-key.ts';
import { seed } from './seeded.ts';
import { command } from '../support/holdfast-command.ts';

export interface Ended {
  /** As in a shell: 128 plus the signal's number when a signal ended it. */
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

export interface RunSettings {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: Uint8Array;
  /** Runs as this user, without any rights of root. */
  readonly uid?: number;
}

/** The real command with its own state folder and repository, and restic for the same repository. */
export class FaultWorld {
  readonly folder = mkdtempSync(join(tmpdir(), 'faults-'));
  stateDir = join(this.folder, 'state');
  repository = join(this.folder, 'repository');

  start(args: readonly string[], settings: RunSettings = {}): Running {
    const asUser = [
      '--reuid',
      String(settings.uid),
      '--regid',
      String(settings.uid),
      '--clear-groups',
      command,
    ];
    const [program, all] = settings.uid === undefined ? [command, args] : ['setpriv', [...asUser, ...args]];
    const env = { HOLDFAST_STATE_DIR: this.stateDir, HOLDFAST_HOST: 'embedded', TZ: 'UTC', ...settings.env };
    return follow(program, all, { ...settings, env, cwd: settings.cwd ?? this.folder });
  }

  /** Runs the command, and returns any result. No stack trace may ever reach the user. */
  async attempt(args: readonly string[], settings: RunSettings = {}): Promise<Ended> {
    const ended = await this.start(args, settings).ended;
    expect(ended.stderr, `seed ${seed}: holdfast ${args.join(' ')}`).not.toMatch(/^\s+at .*:\d+:\d+/m);
    return ended;
  }

  /** Runs the command and returns its standard output; throws when it fails. */
  async run(...args: string[]): Promise<string> {
    const { exit, stdout, stderr } = await this.attempt(args);
    if (exit === 0) return stdout;
    throw new Error(`seed ${seed}: "holdfast ${args.join(' ')}" ended with ${exit}: ${stderr}${stdout}`);
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.run(...args, '--format', 'json')) as T;
  }

  /**
   * Starts the command, kills it with all of its threads after some time, and returns its result if it was
   * faster.
   */
  async killed(args: readonly string[], afterMs: number, settings: RunSettings = {}): Promise<Ended> {
    const { child, ended } = this.start(args, settings);
    await Promise.race([sleep(afterMs), ended]);
    child.kill('SIGKILL');
    return await ended;
  }

  restic(...args: string[]): Promise<Ended> {
    return this.startRestic(...args).ended;
  }

  startRestic(...args: string[]): Running {
    const env = { RESTIC_PASSWORD_FILE: this.keyFile };
    return follow('restic', ['-r', this.repository, '--no-cache', ...args], { env });
  }

  /** restic must not find anything wrong. */
  async judge(...args: string[]): Promise<string> {
    const { exit, stdout, stderr } = await this.restic(...args);
    if (exit === 0) return stdout;
    throw new Error(`seed ${seed}: "restic ${args.join(' ')}" ended with ${exit}: ${stderr}${stdout}`);
  }

  get keyFile(): string {
    return join(this.stateDir, 'keys/default.key');
  }

  async init(): Promise<void> {
    await makeCheapRepository(this.repository, { stateDir: this.stateDir, keyFile: this.keyFile });
    await this.run('init', '--repo', this.repository);
  }

  /** Creates a volume and returns its folder. */
  async volume(name: string): Promise<string> {
    await this.run('volume', 'create', name);
    return this.root(name);
  }

  root(name: string): string {
    return join(this.stateDir, 'volumes', name, '_data');
  }

  /** The ids of a volume's snapshots, oldest first. */
  async ids(name: string): Promise<string[]> {
    return (await this.run('snapshots', name, '--quiet')).split('\n').filter(Boolean);
  }

  mkdir(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Files below the repository that do not belong to it: leftovers of interrupted writes. */
  strays(): string[] {
    return readdirSync(this.repository, { recursive: true, encoding: 'utf8' }).filter((path) =>
      /(^|\/)(tmp-|[0-9a-f]+-tmp-)/.test(path),
    );
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface BackupJson {
  readonly outcomes: readonly {
    readonly name: string;
    readonly outcome: string;
    readonly snapshotId: string | null;
    readonly summary: { readonly files: number; readonly bytesStored: number } | null;
    readonly problems: readonly {
      readonly path: string;
      readonly reason: string;
      readonly message: string;
    }[];
    readonly error: { readonly code: string; readonly message: string } | null;
  }[];
}

interface Following extends RunSettings {
  readonly env: Readonly<Record<string, string>>;
}

const numbers: Readonly<Partial<Record<NodeJS.Signals, number>>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };

function follow(program: string, args: readonly string[], settings: Following): Running {
  const startedMs = performance.now();
  const child = spawn(program, args, {
    cwd: settings.cwd,
    env: { ...process.env, ...settings.env },
    stdio: 'pipe',
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  child.stdin.on('error', () => {});
  child.stdin.end(settings.input ?? '');
  const { promise: ended, resolve, reject } = Promise.withResolvers<Ended>();
  child.on('error', reject);
  child.on('close', (code, signal) =>
    resolve({
      exit: code ?? 128 + (numbers[signal ?? 'SIGKILL'] ?? 0),
      stdout: Buffer.concat(out).toString(),
      stderr: Buffer.concat(err).toString(),
      ms: performance.now() - startedMs,
    }),
  );
  return { child, ended };
}
