import type { Container, Containers } from '../../hosts/containers.ts';
import { AppError } from '../../model/errors.ts';
import type { Hook } from '../../model/hook.ts';
import { quote } from '../../model/quote.ts';
import { clientFailed, runClient } from '../presets/run-client.ts';

export interface HookToRun {
  readonly hook: Hook;
  /** Where it runs. */
  readonly container: Pick<Container, 'id' | 'name'>;
  /** Variables added to its container's environment: `HOLDFAST_VOLUME` and the like. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Runs a hook to its end, or kills it at its time-out. Throws when it fails. */
export async function runHook(
  containers: Containers,
  { hook, container, environment }: HookToRun,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { command, user, timeoutMs, moment, origin } = hook;
  const action = `The hook "${moment}" (${origin}) failed`;
  const { signal } = options;
  try {
    const request = { command, user, environment, withinMs: timeoutMs };
    const result = await runClient({ containers, container, signal }, request);
    if (result.exitCode === 0) return;
    const said = result.stderr.trim() === '' ? result.stdout : result.stderr;
    throw clientFailed({
      action,
      command,
      container: container.name,
      exitCode: result.exitCode,
      stderr: said,
    });
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'cancelled' || error.message.startsWith(action))
      throw error;
    throw new AppError('failed', `${action}: ${error.message}`, {
      detail: error.detail,
      hint: error.hint,
      cause: error,
    });
  }
}

/** A hook that names a container that does not exist. */
export function noTarget(hook: Hook, target: string): AppError {
  return new AppError(
    'not-found',
    `The hook "${hook.moment}" (${hook.origin}) has no container to run in: ${quote(target)} does not run`,
    { hint: 'Name a container, or a service of the same stack, that runs at that moment.' },
  );
}

/** A hook that names a container outside the reach of where it was set. */
export function outOfReach(hook: Hook, target: string): AppError {
  return new AppError(
    'denied',
    `The hook "${hook.moment}" (${hook.origin}) is not run: ${quote(target)} is not of the same Compose project`,
    { hint: 'What runs in other containers is for "hooks" in holdfast.yaml.' },
  );
}
