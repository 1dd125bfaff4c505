import { runProgram } from '../../../lib/run-program.ts';
import { AppError, isAppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import type { DataMove } from './plan-moves.ts';

/** Docker Compose, as a plugin of docker or as a program of its own. */
export interface ComposeProgram {
  /** `unsupported` where there is none: asked before anything is touched. */
  check(): Promise<void>;
  /** Makes the container of the service anew, and nothing else; pulls and builds nothing. */
  up(
    move: Pick<DataMove, 'stack' | 'service' | 'files' | 'directory'>,
    signal: AbortSignal | undefined,
  ): Promise<void>;
}

const forms: readonly (readonly [string, ...string[]])[] = [['docker', 'compose'], ['docker-compose']];

const upWithinMs = 10 * 60_000;

export function composeProgram(env: Readonly<Record<string, string | undefined>>): ComposeProgram {
  const variables = Object.fromEntries(
    ['DOCKER_HOST', 'DOCKER_CONTEXT', 'DOCKER_CONFIG'].flatMap((name) => {
      const value = env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  ) as Record<string, string>;
  const options = { env: variables, isUsers: true } as const;
  const find = async (): Promise<readonly [string, ...string[]]> => {
    for (const form of forms) {
      const [program, ...words] = form;
      try {
        const { status } = await runProgram(program, [...words, 'version'], options);
        if (status === 0) return form;
      } catch (error) {
        if (!isAppError(error, 'unsupported')) throw error;
      }
    }
    throw new AppError('unsupported', 'There is no Docker Compose here to make the container anew', {
      hint: 'Install docker-compose-plugin (or docker-compose), or follow the steps of docs/guides/audit.md by hand.',
    });
  };
  return {
    check: async () => void (await find()),
    async up({ stack, service, files, directory }, signal) {
      const [program, ...words] = await find();
      const places = ['--project-name', stack, '--project-directory', directory];
      const args = [...words, ...files.flatMap((file) => ['--file', file]), ...places];
      const steps = ['up', '--detach', '--no-deps', '--no-build', '--pull', 'never', service];
      const { status, stderr } = await runProgram(program, [...args, ...steps], {
        ...options,
        signal,
        timeoutMs: upWithinMs,
      });
      if (status !== 0)
        throw new AppError('failed', `Compose could not start ${quote(service)}`, { detail: stderr });
    },
  };
}
