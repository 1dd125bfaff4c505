import { closeSync, fstatSync, readSync } from 'node:fs';
import type { Host } from '../../../hosts/host.ts';
import { knownError } from '../../../lib/known-error.ts';
import { openNameless } from '../../../lib/nameless-file.ts';
import { runProgram } from '../../../lib/run-program.ts';
import { AppError, isAppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import type { DataMove } from './plan-moves.ts';

/** Docker Compose, as a plugin of docker or as a program of its own. */
export interface ComposeProgram {
  /** `unsupported` where there is none: asked before anything is touched. */
  check(): Promise<void>;
  /**
   * The hash of the service, which Compose writes on its container: as the files are now, or as they would be
   * with one of them `instead`.
   */
  hash(
    service: ComposeService,
    instead: { readonly file: string; readonly content: string } | undefined,
    signal: AbortSignal | undefined,
  ): Promise<string>;
  /** Opens what making a container anew needs: what fails for want of room or rights does so here. */
  prepareUp(service: ComposeService): PreparedUp;
}

export interface PreparedUp extends Disposable {
  /**
   * Makes the container of the service anew, and nothing else; pulls and builds nothing. Not cancelled, and comes to its
   * end even when this process is killed: between the old container and the new one the service is down. A Compose that
   * has outlived this process has no limit of time: killed, it could leave the service down, and one that hangs does no
   * harm but to wait. What it does when the engine answers again is what the journal tells the user to do.
   */
  up(): Promise<void>;
}

export type ComposeService = Pick<DataMove, 'stack' | 'service' | 'files' | 'envFiles' | 'directory'>;

interface RunOptions {
  readonly signal: AbortSignal | undefined;
  /** Given to Compose on its standard input. */
  readonly instead?: { readonly file: string; readonly content: string } | undefined;
  /** An open file for what it says, where it must come to its end. */
  readonly output?: number | undefined;
}

export interface ComposeAccess {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly host: () => Promise<Pick<Host, 'info'>>;
  readonly stateDir: string;
}

const forms: readonly (readonly [string, ...string[]])[] = [['docker', 'compose'], ['docker-compose']];

const upWithinMs = 10 * 60_000;
const shownBytes = 4000;

/** Compose for the engine of this host, which need not be the one that Docker's own settings name. */
export function composeProgram({ env, host, stateDir }: ComposeAccess): ComposeProgram {
  const variables = Object.fromEntries(
    ['DOCKER_HOST', 'DOCKER_CONTEXT', 'DOCKER_CONFIG'].flatMap((name) => {
      const value = env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  ) as Record<string, string>;
  const options = { env: variables, isUsers: true } as const;
  let found: readonly [string, ...string[]] | undefined;
  const find = async (): Promise<readonly [string, ...string[]]> => {
    if (found !== undefined) return found;
    for (const form of forms) {
      const [program, ...words] = form;
      try {
        const { status } = await runProgram(program, [...words, 'version'], options);
        if (status === 0) return (found = form);
      } catch (error) {
        if (!isAppError(error, 'unsupported')) throw error;
      }
    }
    throw new AppError('unsupported', 'There is no Docker Compose here to make the container anew', {
      hint: 'Install docker-compose-plugin (or docker-compose), or follow the steps of docs/guides/audit.md by hand.',
    });
  };
  const run = async (
    service: ComposeService,
    steps: readonly string[],
    { signal, instead, output }: RunOptions,
  ): Promise<string> => {
    const [program, ...words] = await find();
    const { stack, files, envFiles, directory } = service;
    const named = [
      ...files.flatMap((file) => ['--file', file === instead?.file ? '-' : file]),
      ...envFiles.flatMap((file) => ['--env-file', file]),
    ];
    const { endpoint } = await (await host()).info({ signal });
    // Over TLS or ssh it is those settings that have led to it.
    const engine = endpoint.startsWith('unix://') ? { DOCKER_HOST: endpoint } : undefined;
    const args = [...words, ...named, '--project-name', stack, '--project-directory', directory, ...steps];
    const { status, stdout, stderr } = await runProgram(program, args, {
      ...options,
      env: { ...variables, ...engine },
      signal,
      input: instead?.content,
      timeoutMs: upWithinMs,
      output,
      hasHelpers: output !== undefined,
    });
    if (status === 0) return stdout;
    const detail = output === undefined ? stderr : lastOf(output);
    throw new AppError('failed', `Compose failed for ${quote(service.service)}`, { detail });
  };
  return {
    check: async () => void (await find()),
    async hash(service, instead, signal) {
      const printed = await run(service, ['config', '--hash', service.service], { signal, instead });
      return printed.trim().split(/\s+/).at(-1) ?? '';
    },
    prepareUp(service) {
      const output = openOutput(stateDir);
      const steps = ['up', '--detach', '--no-deps', '--no-build', '--pull', 'never', service.service];
      return {
        up: async () => void (await run(service, steps, { signal: undefined, output })),
        [Symbol.dispose]: () => closeSync(output),
      };
    },
  };
}

/** It has no name, so nothing of it is left, whichever of the two programs ends last. */
function openOutput(stateDir: string): number {
  try {
    return openNameless(stateDir);
  } catch (error) {
    throw knownError(error, 'Cannot make a file for what Compose says');
  }
}

/** What it says of a failure comes last. */
function lastOf(file: number): string {
  const { size } = fstatSync(file);
  const last = Buffer.alloc(Math.min(size, shownBytes));
  return last.toString('utf8', 0, readSync(file, last, 0, last.length, size - last.length)).trim();
}
