import { existsSync, globSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeKeyCheap, passwordIn } from './cheap-key.ts';
import { runCommand, type RunResult } from '../../scripts/run-command.ts';

/** The program under test: a package built from the sources when this test run began. */
export const command = programUnderTest();

function programUnderTest(): string {
  const path = process.env['HOLDFAST_TEST_COMMAND'];
  if (path === undefined)
    throw new Error('HOLDFAST_TEST_COMMAND is not set: run the tests by "npm test" or vitest');
  return path;
}

export interface HoldfastCommand {
  /** Runs the command and returns its standard output; throws when it fails. */
  run(...args: string[]): Promise<string>;
  /** Runs the command, and returns any result. */
  attempt(...args: string[]): Promise<RunResult>;
  /** Creates a volume and returns its folder. */
  createVolume(name: string): Promise<string>;
}

/** The real command with its own state folder, on the embedded host. */
export function holdfastCommand(
  stateDir: string,
  env: Readonly<Record<string, string>> = {},
): HoldfastCommand {
  mkdirSync(stateDir, { recursive: true });
  const attempt = (...args: string[]): Promise<RunResult> =>
    runCommand(command, args, {
      env: { ...process.env, HOLDFAST_STATE_DIR: stateDir, HOLDFAST_HOST: 'embedded', ...env },
    });
  const run = async (...args: string[]): Promise<string> => {
    const result = await attempt(...args);
    if (result.exitCode === 0) {
      if (args[0] === 'init') await makeFirstKeyCheap(stateDir, args);
      return result.stdout;
    }
    throw new Error(`"holdfast ${args.join(' ')}" ended with exit code ${result.exitCode}: ${result.output}`);
  };
  const createVolume = async (name: string): Promise<string> => {
    await run('volume', 'create', name);
    const text = await run('volume', 'inspect', name, '--format', 'json');
    const found = /"mountpoint":\s*"([^"]+)"/i.exec(text)?.[1];
    if (found === undefined) throw new Error(`"holdfast volume inspect" names no mountpoint: ${text}`);
    return found;
  };
  return { attempt, run, createVolume };
}

/** Makes the key cheap that `init` has created in the state folder for a local repository. */
async function makeFirstKeyCheap(stateDir: string, args: readonly string[]): Promise<void> {
  const keys = join(stateDir, 'keys');
  const [key, ...others] = existsSync(keys) ? globSync('*.key', { cwd: keys }) : [];
  const at = args.indexOf('--repo');
  const repository = at === -1 ? join(stateDir, 'repository') : (args[at + 1] ?? '');
  if (key === undefined || others.length > 0 || !existsSync(join(repository, 'keys'))) return;
  await makeKeyCheap(repository, passwordIn(join(keys, key)));
}
