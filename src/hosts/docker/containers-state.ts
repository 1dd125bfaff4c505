import { AppError, isAppError } from '../../model/errors.ts';
import type { CallOptions } from '../host.ts';
import { inspectContainer, shortName, stopTimeoutOf } from './containers-read.ts';
import type { EngineCall, EngineClient } from './engine-client.ts';
import type { EngineInspection } from './engine-types.ts';
import { toState } from './volumes.ts';

/** The deadline of immediate operations, as a start may wait for a volume plugin. */
const deadlineMs = 150_000;
/** The wait for a container without a stop limit. */
const endlessStopMs = 3_600_000;

/**
 * Without a time-out the engine uses the container's own. The engine continues a stop after the caller is
 * cancelled.
 */
export async function stopContainer(
  client: EngineClient,
  id: string,
  { signal, timeoutMs }: CallOptions & { readonly timeoutMs?: number },
): Promise<void> {
  const seconds = timeoutMs === undefined ? undefined : Math.max(0, Math.ceil(timeoutMs / 1000));
  const waitMs = seconds === undefined ? await ownStopMs(client, id, signal) : seconds * 1000;
  await act(client, {
    id,
    verb: 'stop',
    query: seconds === undefined ? '' : `?t=${seconds}`,
    isDone: (state) => state === 'exited' || state === 'dead' || state === 'created',
    deadlineMs: Math.min(waitMs, endlessStopMs) + deadlineMs,
    signal,
  });
}

async function ownStopMs(client: EngineClient, id: string, signal: AbortSignal | undefined): Promise<number> {
  const inspection = await inspectContainer(client, id, signal);
  if (inspection === undefined) throw noSuchContainer(`Cannot stop container "${shortName(id)}"`);
  return stopTimeoutOf(inspection);
}

export async function startContainer(client: EngineClient, id: string, options: CallOptions): Promise<void> {
  await act(client, { id, verb: 'start', isDone: (state) => state === 'running', ...options });
}

export async function pauseContainer(client: EngineClient, id: string, options: CallOptions): Promise<void> {
  await act(client, { id, verb: 'pause', isDone: (state) => state === 'paused', ...options });
}

export async function unpauseContainer(
  client: EngineClient,
  id: string,
  options: CallOptions,
): Promise<boolean> {
  return await act(client, { id, verb: 'unpause', isDone: (state) => state === 'running', ...options });
}

interface StateChange extends CallOptions {
  readonly id: string;
  readonly verb: 'stop' | 'start' | 'pause' | 'unpause';
  readonly query?: string;
  readonly deadlineMs?: number;
  readonly isDone: (state: string) => boolean;
}

/**
 * Requests a change. False, without an error, when the engine refuses because the state is already reached.
 */
async function act(client: EngineClient, change: StateChange): Promise<boolean> {
  const { id, verb, signal } = change;
  const call: EngineCall = {
    method: 'POST',
    path: `/containers/${encodeURIComponent(id)}/${verb}${change.query ?? ''}`,
    action: `Cannot ${verb} container "${shortName(id)}"`,
    deadlineMs: change.deadlineMs ?? deadlineMs,
    signal,
  };
  try {
    await client.json(call);
    return true;
  } catch (error) {
    if (!isAppError(error) || error.code === 'cancelled' || error.code === 'unavailable') throw error;
    const inspection = await inspectContainer(client, id, signal);
    if (inspection !== undefined && change.isDone(toState(inspection.State?.Status))) return false;
    throw explained(change, inspection, error);
  }
}

/**
 * The engine also responds with 404 for a missing network or file: only a missing container is `not-found`.
 */
function explained(
  { id, verb }: StateChange,
  inspection: EngineInspection | undefined,
  error: AppError,
): AppError {
  if (inspection === undefined) return noSuchContainer(`Cannot ${verb} container "${shortName(id)}"`, error);
  const name = inspection.Name?.replace(/^\//, '') || shortName(id);
  const code = error.code === 'not-found' ? 'failed' : error.code;
  return new AppError(code, `Cannot ${verb} container "${name}"`, {
    detail: error.detail,
    hint: hintFor(verb, toState(inspection.State?.Status)),
    cause: error,
  });
}

function hintFor(verb: StateChange['verb'], state: string): string | undefined {
  if (state === 'paused' && verb === 'start') return 'It is paused: unpause it.';
  if (state === 'restarting' && verb === 'pause') return 'It restarts over and over: look at its log.';
  if (state === 'exited' && verb === 'start') return 'Look at its log, and at what it mounts.';
  return undefined;
}

export function noSuchContainer(action: string, cause?: unknown): AppError {
  return new AppError('not-found', `${action}: no such container`, {
    hint: 'List what there is with "docker ps -a".',
    cause,
  });
}
