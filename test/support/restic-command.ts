import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { makeKeyCheap } from './cheap-key.ts';
import { runCommand, type RunResult } from '../../scripts/run-command.ts';

export const resticPassword = 'correct horse battery staple';

export interface ResticCommand {
  /** Runs the command and returns its standard output; throws when it fails. */
  run(...args: string[]): Promise<string>;
  attempt(...args: string[]): Promise<RunResult>;
}

/** The real restic on a local repository. */
export function resticCommand(repository: string): ResticCommand {
  const attempt = (...args: string[]): Promise<RunResult> =>
    runCommand('restic', ['-r', repository, '--no-cache', ...args], {
      // Some commands leave files in the current folder.
      cwd: existsSync(repository) ? dirname(repository) : tmpdir(),
      env: { ...process.env, RESTIC_PASSWORD: resticPassword },
    });
  return {
    attempt,
    async run(...args) {
      const result = await attempt(...args);
      // At its default cost, a key takes half a second of the processor for each command.
      if (result.exitCode === 0 && args[0] === 'init')
        await makeKeyCheap(repository, { password: resticPassword });
      if (result.exitCode === 0) return result.stdout;
      throw new Error(`"restic ${args.join(' ')}" ended with exit code ${result.exitCode}: ${result.output}`);
    },
  };
}
