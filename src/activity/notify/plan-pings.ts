import type { HealthchecksChannel } from './channel.ts';
import { isAbout } from './choose.ts';
import { sentenceOf } from './compose.ts';
import type { BackupRun, Happening } from './notifier.ts';
import type { Ping } from './senders/ping.ts';

/** A run of backups that has begun, and the results of its subjects so far. */
export interface OpenRun extends BackupRun {
  readonly outcomes: Map<string, Happening>;
}

/** An event that a watch may need, in the order in which it happened. */
export type WatchedEvent =
  | { readonly kind: 'happened'; readonly happening: Happening; readonly run: OpenRun | undefined }
  | { readonly kind: 'ended'; readonly run: OpenRun };

/** The failures that one channel was sent and that have not ended. By work and subject. */
export type StillFailing = Map<string, { readonly line: string; readonly atMs: number }>;

/** A failure of a subject that is gone for good must not make all other work look failed for ever. */
const failsForMs = 8 * 86_400_000;

/** The pings for a run that begins; none on a channel that will not get its end. Pure. */
export function planStart(channel: HealthchecksChannel, run: BackupRun): Ping[] {
  const subjects = channel.works.includes('backup')
    ? run.subjects.filter((subject) => isAbout(channel, goodBackup(subject, run)))
    : [];
  if (channel.perVolume) return subjects.map((subject): Ping => ({ sign: 'start', subject, text: '' }));
  return subjects.length === 0 ? [] : [{ sign: 'start', subject: undefined, text: subjects.join('\n') }];
}

/**
 * The pings for an event. A watch over single volumes gets each result. A watch over all gets one ping per
 * run, at its end, and a success only while no failure that it was sent lasts. Updates `failing`.
 */
export function planPings(
  channel: HealthchecksChannel,
  events: readonly WatchedEvent[],
  { failing, nowMs }: { readonly failing: StillFailing; readonly nowMs: number },
): Ping[] {
  const isOwn = (happening: Happening): boolean =>
    channel.works.includes(happening.work) && happening.what !== 'anomaly' && isAbout(channel, happening);
  const alone = events.flatMap((event) =>
    event.kind === 'happened' && (channel.perVolume || event.run === undefined) && isOwn(event.happening)
      ? [event.happening]
      : [],
  );
  const ended = events.flatMap((event) => (event.kind === 'ended' ? [event.run] : []));
  if (channel.perVolume) {
    return [...alone, ...ended.flatMap(unfinished).filter(isOwn)].map((happening): Ping => ({
      sign: happening.what === 'good' ? 'success' : 'fail',
      subject: happening.subject,
      text: lineOf(happening),
    }));
  }
  const told = [alone, ...ended.map((run) => [...run.outcomes.values(), ...unfinished(run)].filter(isOwn))];
  return told.flatMap((own) => pingForAll(own, { failing, nowMs }) ?? []);
}

function pingForAll(
  all: readonly Happening[],
  { failing, nowMs }: { readonly failing: StillFailing; readonly nowMs: number },
): Ping | undefined {
  for (const [key, { atMs }] of failing) if (Math.abs(nowMs - atMs) > failsForMs) failing.delete(key);
  const before = new Map(failing);
  const own: Happening[] = [];
  for (const happening of all) {
    const key = `${happening.work} ${happening.subject}`;
    // A subject that is visible again is not work that was done.
    if (happening.onlyRecovery === true && !failing.has(key)) continue;
    own.push(happening);
    before.delete(key);
    if (happening.what === 'good') failing.delete(key);
    else if (lasts(happening)) failing.set(key, { line: lineOf(happening), atMs: nowMs });
  }
  if (own.length === 0) return undefined;
  const others = [...before.values()].map(({ line }) => `Before, and not good since: ${line}`);
  const isGood = others.length === 0 && own.every(({ what }) => what === 'good');
  return {
    sign: isGood ? 'success' : 'fail',
    subject: undefined,
    text: [...own.map(lineOf), ...others].join('\n'),
  };
}

/**
 * A subject that is gone or a run that was stopped is no lasting failure, and no success follows a missed
 * time.
 */
function lasts({ what, fingerprint }: Happening): boolean {
  return what !== 'missed' && fingerprint !== 'not-found' && fingerprint !== stopped;
}

const stopped = 'stopped';

/** A start without an end would leave a watch waiting. */
function unfinished(run: OpenRun): Happening[] {
  return run.subjects
    .filter((subject) => !run.outcomes.has(subject))
    .map((subject) => ({
      ...goodBackup(subject, run),
      what: 'failed',
      fingerprint: stopped,
      message: 'the backup was stopped before it came to its end',
    }));
}

function goodBackup(subject: string, { policy }: BackupRun): Happening {
  return { what: 'good', work: 'backup', subject, policy, message: '' };
}

function lineOf(happening: Happening): string {
  return `${happening.subject}: ${sentenceOf(happening)}`;
}
