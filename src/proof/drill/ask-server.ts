import { setTimeout as sleep } from 'node:timers/promises';
import type { Container, Containers } from '../../hosts/containers.ts';
import { knownError } from '../../lib/known-error.ts';
import { isAppError } from '../../model/errors.ts';
import type { JobOptions } from '../../activity/index.ts';
import { runClient, type ClientPlace, type ClientRequest, type FoundPreset } from '../../quiesce/index.ts';

export interface ServerQuestion {
  readonly containers: Containers;
  readonly container: Container;
  readonly mountPath: string;
  readonly found: FoundPreset | undefined;
  readonly command: readonly string[] | undefined;
  readonly readyWithinMs: number;
  /** The limit for the command. Default: ten minutes. */
  readonly commandWithinMs?: number | undefined;
}

export interface ServerAnswer {
  readonly asked: readonly string[];
  readonly isHealthy: boolean;
  readonly readyAfterMs: number | undefined;
  readonly facts: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
}

/** Recorded when there is nothing to ask: no proof that the data is there. */
export const onlySeen = 'whether it keeps running';

const countWithinMs = 600_000;

/** Asks a server that was started on restored data for proof of the data. Throws only when cancelled. */
export async function askServer(question: ServerQuestion, options: JobOptions): Promise<ServerAnswer> {
  const first =
    question.found === undefined
      ? await waitUntilUp(question, options)
      : await askPreset(question, question.found, options);
  if (question.command === undefined || !first.isHealthy) return first;
  const second = await runCommand(question, question.command, options);
  return {
    ...first,
    asked: [...first.asked, question.command.join(' ')],
    isHealthy: second.problem === undefined,
    facts: [...first.facts, ...second.facts],
    problems: second.problem === undefined ? [] : [second.problem],
  };
}

async function askPreset(
  question: ServerQuestion,
  { preset, recognition }: FoundPreset,
  options: JobOptions,
): Promise<ServerAnswer> {
  const { containers, container, mountPath, readyWithinMs } = question;
  const server = { containers, container, mountPath, recognition, signal: options.signal };
  const { isHealthy, ...check } = await preset.check(server, { readyWithinMs, countWithinMs });
  // The image has no client to ask with.
  if (isHealthy === undefined) return await waitUntilUp(question, options);
  return { asked: [preset.title], isHealthy, ...check };
}

/**
 * A container that has no preset's check is up when it runs, and healthy when its own health check passes.
 */
async function waitUntilUp(
  { containers, container, readyWithinMs }: ServerQuestion,
  { signal }: JobOptions,
): Promise<ServerAnswer> {
  const started = performance.now();
  for (;;) {
    const now = await containers.find(container.id, { signal });
    const sinceMs = performance.now() - started;
    const verdict = verdictOf(now, { sinceMs, readyWithinMs });
    if (verdict !== undefined) {
      const isHealthy = verdict.problem === undefined;
      return {
        asked: [now?.health === 'none' ? onlySeen : 'its health check'],
        isHealthy,
        readyAfterMs: isHealthy ? (now?.health === 'none' ? 0 : sinceMs) : undefined,
        facts: [],
        counts: {},
        problems: verdict.problem === undefined ? [] : [verdict.problem],
      };
    }
    await sleep(200, undefined, signal === undefined ? {} : { signal });
  }
}

const keepsRunningMs = 3_000;

/** Undefined while it is undecided. */
function verdictOf(
  now: Container | undefined,
  { sinceMs, readyWithinMs }: { readonly sinceMs: number; readonly readyWithinMs: number },
): { readonly problem: string | undefined } | undefined {
  if (now === undefined) return { problem: 'it is gone' };
  if (now.state !== 'running') return { problem: `it has ended with exit number ${now.exitCode ?? '?'}` };
  if (now.health === 'healthy') return { problem: undefined };
  if (now.health === 'unhealthy') return { problem: 'its health check says that it is unhealthy' };
  if (now.health === 'none') return sinceMs < keepsRunningMs ? undefined : { problem: undefined };
  return sinceMs < readyWithinMs ? undefined : { problem: 'it did not become healthy in time' };
}

const factLines = 20;

/** A server that is ready may need a little longer for the user's command. */
async function runCommand(
  { containers, container, readyWithinMs, commandWithinMs = countWithinMs }: ServerQuestion,
  command: readonly string[],
  { signal }: JobOptions,
): Promise<{ readonly facts: readonly string[]; readonly problem: string | undefined }> {
  const deadline = performance.now() + Math.min(readyWithinMs, 15_000);
  for (;;) {
    const result = await runOnce({ containers, container, signal }, { command, withinMs: commandWithinMs });
    if (result.problem === undefined || performance.now() > deadline) return result;
    await sleep(1000, undefined, signal === undefined ? {} : { signal });
  }
}

async function runOnce(
  place: ClientPlace,
  request: ClientRequest,
): Promise<{ readonly facts: readonly string[]; readonly problem: string | undefined }> {
  try {
    const { exitCode, stdout, stderr } = await runClient(place, request);
    const lines = stdout.split('\n').filter((line) => line.trim() !== '');
    if (exitCode === 0) return { facts: lines.slice(0, factLines), problem: undefined };
    const words = stderr.trim().split('\n').slice(-3).join(' ') || lines.slice(-3).join(' ');
    return { facts: [], problem: `the command ended with ${exitCode}: ${words}` };
  } catch (error) {
    if (place.signal?.aborted === true || isAppError(error, 'cancelled')) throw error;
    return { facts: [], problem: knownError(error).message };
  }
}
