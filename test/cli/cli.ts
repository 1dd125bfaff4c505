import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCheapRepository } from '../support/cheap-key.ts';
import { command } from '../support/holdfast-command.ts';

export interface CliResult {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliRun {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  /** Called with the running process and its standard error so far, each time that grows. */
  readonly onStderr?: (child: ReturnType<typeof spawn>, text: string) => void;
}

/**
 * The real command with its own state folder on the embedded host; everything is below one temporary folder.
 */
export class Cli {
  readonly folder = mkdtempSync(join(tmpdir(), 'holdfast-cli-'));
  readonly stateDir = join(this.folder, 'state');
  readonly repository = join(this.folder, 'repository');

  /** Runs the command, and returns any result. */
  async attempt(args: readonly string[], options: CliRun = {}): Promise<CliResult> {
    const child = spawn(command, args, {
      cwd: options.cwd ?? this.folder,
      env: {
        ...process.env,
        HOLDFAST_STATE_DIR: this.stateDir,
        HOLDFAST_HOST: 'embedded',
        TZ: 'UTC',
        ...options.env,
      },
      stdio: 'pipe',
    });
    const out: Buffer[] = [];
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      options.onStderr?.(child, stderr);
    });
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return {
      exit: code ?? (signal === 'SIGKILL' ? 137 : 128),
      stdout: Buffer.concat(out).toString(),
      stderr,
    };
  }

  /** Runs the command and returns its standard output; throws when it fails. */
  async run(...args: string[]): Promise<string> {
    const { exit, stdout, stderr } = await this.attempt(args);
    if (exit === 0) return stdout;
    throw new Error(`"holdfast ${args.join(' ')}" ended with ${exit}: ${stderr}${stdout}`);
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.run(...args, '--format', 'json')) as T;
  }

  /** Creates a volume and returns its folder. */
  async volume(name: string): Promise<string> {
    await this.run('volume', 'create', name);
    return this.root(name);
  }

  root(name: string): string {
    return join(this.stateDir, 'volumes', name, '_data');
  }

  async init(): Promise<void> {
    const { stateDir } = this;
    await makeCheapRepository(this.repository, { stateDir, keyFile: join(stateDir, 'keys/default.key') });
    await this.run('init', '--repo', this.repository);
  }

  /** The ids of a volume's snapshots, oldest first. */
  async ids(name: string): Promise<string[]> {
    return (await this.run('snapshots', name, '-q')).trim().split('\n').filter(Boolean);
  }

  key(): string {
    return readFileSync(join(this.stateDir, 'keys/default.key'), 'utf8').trim();
  }

  mkdir(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
