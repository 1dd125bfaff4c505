import type { Containers } from '../../hosts/containers.ts';
import { quote } from '../../model/quote.ts';
import type { JobOptions } from '../../activity/index.ts';
import { hookKey } from './choose-hooks.ts';
import {
  hasHookJournals,
  type HookJournal,
  hooksUnderWay,
  type OpenHookJournal,
  takeLeftHookJournals,
} from './hook-journal.ts';
import type { HostScope } from '../../hosts/host.ts';
import { findHookTarget, runDueHooks } from './hook-run.ts';

/** A hook that is due after a backup, and could not be run. */
export interface DueHook {
  /** The first word of its command. */
  readonly command: string;
  /** The container that it runs in. */
  readonly container: string;
  /** Why it failed the last time. */
  readonly message: string;
  /** When it was first tried, RFC 3339. */
  readonly since: string;
  readonly tries: number;
}

export interface RecoveredHooks {
  /** The first word of each command that ran. */
  readonly ran: readonly string[];
  /** Those that stay due, tried now or resting. */
  readonly due: readonly DueHook[];
  /** What to report now: what was tried and failed, and what can never be run. */
  readonly notes: readonly string[];
  /** True when any of them had failed before. */
  readonly hadFailed: boolean;
  /** True when any of them waits for containers of its backup. */
  readonly isWaiting: boolean;
}

/** A job whose containers are not all back. */
interface UnfinishedJob {
  /** `back up "pg"`. */
  readonly reason: string;
  readonly containers: readonly string[];
}

export interface RecoverHooksOptions extends JobOptions {
  /** Tries all that were not tried in the last seconds, however often they have failed. */
  readonly isAsked?: boolean | undefined;
  /** Only hooks of the same backup, and those in one of its containers, wait for it. */
  readonly waitsFor?: readonly UnfinishedJob[] | undefined;
}

const minuteMs = 60_000;
/** The longest pause between two tries, and reports, of a hook that keeps failing. */
const longestRestMs = 60 * minuteMs;
const askedRestMs = 10_000;
/** How long a missing container may come back. */
const goneForMs = 7 * 24 * 60 * minuteMs;

/**
 * Runs the hooks that backups left due, because of a kill or because the hook failed: an application that was
 * asked to prepare has to learn that it is over. A failing hook stays due, and is tried again after pauses
 * that grow up to an hour. It is given up only when its container has been gone for a week. Runs only the
 * hooks of this host. Call it when the containers are back.
 */
export async function recoverHooks(
  { stateDir, host: openHost }: HostScope,
  options: RecoverHooksOptions,
): Promise<RecoveredHooks> {
  const found: Found = { ran: [], due: [], notes: [], hadFailed: false, isWaiting: false };
  if (!(await hasHookJournals(stateDir))) return found;
  const host = await openHost();
  const { identity } = await host.info({ signal: options.signal });
  const journals = await takeLeftHookJournals(stateDir, ({ message, hint }) =>
    found.notes.push(`${message}. ${hint ?? ''}`),
  );
  await using left = new AsyncDisposableStack();
  for (const journal of journals) left.use(journal);
  for (const opened of journals) {
    const { containers } = host;
    if (opened.journal.hostIdentity !== identity || containers === undefined) continue;
    options.signal?.throwIfAborted();
    found.hadFailed ||= opened.journal.tried !== undefined;
    const waits = options.waitsFor?.some((job) => isOfJob(opened.journal, job)) === true;
    found.isWaiting ||= waits;
    const rests = isResting(opened, { nowMs: Date.now(), isAsked: options.isAsked === true });
    // A backup under way runs the same hook when it ends, and it must not run in its middle. One may have
    // begun just now.
    const busy = new Set((await hooksUnderWay(stateDir, journals)).map(hookKey));
    if (waits || rests || opened.journal.hooks.some((hook) => busy.has(hookKey(hook))))
      found.due.push(...dueOf(opened));
    else await runLeft({ containers, nowMs: Date.now(), found }, opened);
  }
  return found;
}

interface Found extends RecoveredHooks {
  readonly ran: string[];
  readonly due: DueHook[];
  readonly notes: string[];
  hadFailed: boolean;
  isWaiting: boolean;
}

/** An unreadable job names no containers, so nothing could tell that it is over. */
function isOfJob({ hooks, environment }: HookJournal, { reason, containers }: UnfinishedJob): boolean {
  const volumes = environment['HOLDFAST_VOLUME']?.split(',') ?? [];
  return (
    volumes.some((name) => reason.includes(quote(name))) ||
    hooks.some(({ hook, identity }) => containers.includes(identity?.name ?? hook.target ?? ''))
  );
}

interface Trial {
  readonly containers: Containers;
  readonly nowMs: number;
  readonly found: Found;
}

function isResting(
  { journal: { tried } }: OpenHookJournal,
  { nowMs, isAsked }: { readonly nowMs: number; readonly isAsked: boolean },
): boolean {
  if (tried === undefined) return false;
  const restMs = isAsked
    ? askedRestMs
    : Math.min(longestRestMs, minuteMs * 2 ** Math.min(tried.times - 1, 10));
  const sinceMs = nowMs - Date.parse(tried.last);
  // A clock that was set back must not delay it forever.
  return sinceMs >= 0 && sinceMs < restMs;
}

async function runLeft({ containers, nowMs, found }: Trial, opened: OpenHookJournal): Promise<void> {
  const { journal } = opened;
  const { hooks, environment, tried } = journal;
  const failures = await runDueHooks(containers, {
    hooks,
    environment: { HOLDFAST_OUTCOME: 'failed', HOLDFAST_MESSAGE: 'The backup was killed', ...environment },
  });
  const bad = new Set(failures.map(({ planned }) => planned));
  found.ran.push(...hooks.filter((hook) => !bad.has(hook)).map(({ hook }) => hook.command[0] ?? ''));
  const now = new Date(nowMs).toISOString();
  const first = tried?.first ?? now;
  const isOld = nowMs - Date.parse(first) > goneForMs;
  const kept = await withoutGone(failures, { containers, found, isOld });
  if (kept.length === 0) {
    await opened.remove();
    return;
  }
  const messages = kept.map(({ error }) => error.message);
  const times = (tried?.times ?? 0) + 1;
  const next = {
    ...journal,
    hooks: kept.map(({ planned }) => planned),
    tried: { times, first, last: now, failures: messages },
  };
  found.notes.push(...messages.map((message) => `A hook that is due since a backup has ended: ${message}`));
  found.due.push(...dueOf({ journal: next }));
  await opened.keep(next);
}

type Failures = Awaited<ReturnType<typeof runDueHooks>>;

/** A hook that can never run again is reported one last time. */
async function withoutGone(
  failures: Failures,
  { containers, found, isOld }: Pick<Trial, 'containers' | 'found'> & { readonly isOld: boolean },
): Promise<Failures> {
  if (!isOld) return failures;
  const kept: Failures[number][] = [];
  for (const failure of failures) {
    const target = await findHookTarget(containers, failure.planned).catch(() => 'unknown' as const);
    if (target !== undefined) kept.push(failure);
    else
      found.notes.push(
        `A hook that was due since a backup has ended is given up, as its container has been gone for a week: ${failure.error.message}`,
      );
  }
  return kept;
}

function dueOf({ journal: { hooks, tried } }: Pick<OpenHookJournal, 'journal'>): DueHook[] {
  return hooks.map(({ hook, identity }, i) => ({
    command: hook.command[0] ?? '',
    container: identity?.name ?? hook.target ?? '',
    message: tried?.failures[i] ?? `The hook "${hook.moment}" (${hook.origin}) has not run yet`,
    since: tried?.first ?? '',
    tries: tried?.times ?? 0,
  }));
}
