import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { Cli, type CliResult, type CliRun } from '../cli/cli.ts';
import {
  type PrivateEngine,
  type PrivateEngineOptions,
  startPrivateEngine,
} from '../docker/private-engine.ts';
import { command } from './holdfast-command.ts';

/** The command on its own engine. */
export interface OnEngine {
  readonly engine: PrivateEngine;
  readonly cli: Cli;
  /** The variables by which the command finds the engine. */
  environment(): Record<string, string>;
  /** Runs the command, and returns any result. */
  attempt(args: readonly string[], options?: CliRun): Promise<CliResult>;
  /** Runs the command; throws when it fails. */
  run(args: readonly string[], options?: CliRun): Promise<CliResult>;
  /** Starts the command, to be killed later. */
  start(args: readonly string[]): StartedCommand;
  /** The names in a folder of the state folder. */
  list(folder: string): string[];
}

export interface StartedCommand {
  readonly child: ChildProcess;
  /** True when it was killed before it finished. */
  readonly ended: Promise<boolean>;
  /** Kills the command with all its children, and waits for its end. */
  kill(): Promise<boolean>;
}

export interface EngineRequest {
  readonly host?: 'auto' | 'docker';
  /** Further variables of each command. */
  readonly env?: Readonly<Record<string, string>>;
  readonly engine?: PrivateEngineOptions;
}

/**
 * For all tests of a file: an engine that has busybox, and a state folder and a repository for the command.
 */
export function onEngine({
  host = 'auto',
  env = {},
  engine: engineOptions = {},
}: EngineRequest = {}): OnEngine {
  let engine: PrivateEngine | undefined;
  let cli: Cli | undefined;
  beforeAll(async () => {
    engine = await startPrivateEngine(engineOptions);
    await engine.importBusybox();
    cli = new Cli();
    await cli.init();
  });
  afterAll(async () => {
    cli?.[Symbol.dispose]();
    await engine?.[Symbol.asyncDispose]();
  });
  const opened: OnEngine = {
    get engine() {
      return there(engine);
    },
    get cli() {
      return there(cli);
    },
    environment: () => ({ HOLDFAST_HOST: host, DOCKER_HOST: opened.engine.dockerHost, ...env }),
    attempt: (args, options = {}) =>
      opened.cli.attempt(args, { ...options, env: { ...opened.environment(), ...options.env } }),
    async run(args, options) {
      const result = await opened.attempt(args, options);
      if (result.exit === 0) return result;
      throw new Error(`"holdfast ${args.join(' ')}" ended with ${result.exit}: ${result.stderr}`);
    },
    start: (args) => startCommand(args, { HOLDFAST_STATE_DIR: opened.cli.stateDir, ...opened.environment() }),
    list(folder) {
      const path = join(opened.cli.stateDir, folder);
      return existsSync(path) ? readdirSync(path) : [];
    },
  };
  return opened;
}

function there<T>(opened: T | undefined): T {
  if (opened === undefined) throw new Error('This is there for tests only, once they have begun');
  return opened;
}

function startCommand(args: readonly string[], env: Readonly<Record<string, string>>): StartedCommand {
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: 'ignore',
    detached: true,
  });
  const ended = new Promise<boolean>((resolve) => {
    child.on('exit', (_, signal) => resolve(signal === 'SIGKILL'));
  });
  return {
    child,
    ended,
    async kill() {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has already ended.
      }
      return await ended;
    },
  };
}
