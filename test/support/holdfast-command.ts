import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeCheapRepository } from './cheap-key.ts';
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
    if (args[0] === 'init') await makeFirstCheaply(stateDir, args.slice(1), env['HOLDFAST_REPOSITORY']);
    const result = await attempt(...args);
    if (result.exitCode === 0) return result.stdout;
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

/** Makes the first repository of a state folder for `init` to take over, if it is a plain one in a local folder. */
async function makeFirstCheaply(
  stateDir: string,
  options: readonly string[],
  usual = join(stateDir, 'repository'),
): Promise<void> {
  const [flag, repository = usual] = options;
  const isPlain = flag === undefined || (flag === '--repo' && options.length === 2);
  const keyFile = join(stateDir, 'keys/default.key');
  if (!isPlain || !repository.startsWith('/')) return;
  if (existsSync(keyFile) || existsSync(join(repository, 'config'))) return;
  await makeCheapRepository(repository, { stateDir, keyFile });
}
