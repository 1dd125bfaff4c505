import type { Host, HostScope } from '../hosts/host.ts';
import { errorInWords } from '../lib/known-error.ts';
import { isAppError } from '../model/errors.ts';
import {
  type AppJournal,
  type DueHook,
  hasHookJournals,
  type HookMeans,
  isUp,
  nameApps,
  type OpenAppJournal,
  putBackLeft,
  type PutBackLeftOptions,
  recoverHooks,
  type RecoverHooksOptions,
  takeLeftJournals,
  tellOfHooks,
} from '../quiesce/index.ts';
import type { Happening, JobOptions } from '../activity/index.ts';
import { listJournals, readJournal } from './restore-journal.ts';
import { isHalf } from './settle.ts';
import { localTime } from '../model/local-time.ts';
import { quote } from '../model/quote.ts';

export interface RecoveredJob {
  /** What it was doing: `back up "pg"`. */
  readonly reason: string;
  /** When it stopped its containers, RFC 3339. */
  readonly since: string;
  /** Names of all containers that it was to stop; none where the journal cannot be read. */
  readonly containers: readonly string[];
  /** Names of the containers and services that were brought back. */
  readonly apps: readonly string[];
  /** Names of those that others have recreated, started or stopped since: they stay as they are. */
  readonly left: readonly string[];
  /** Why not all could be brought back; undefined when all are. */
  readonly error: string | undefined;
}

/** Why a job is not recovered here: its guardian, or another command, is at it. */
const isUnderWay = 'another process is bringing back what it stopped: look again in a moment';

export interface RecoverReport {
  readonly jobs: readonly RecoveredJob[];
  /** Hooks that a backup left due and that could not be run now either. */
  readonly hooks: readonly DueHook[];
  /** The number of jobs whose containers belong to another engine. */
  readonly elsewhere: number;
}

export interface RecoverOptions extends PutBackLeftOptions {
  /** Called for each job found, with the id of the restore it belongs to. */
  readonly onJob?: ((job: RecoveredJob, restoreId: string | undefined) => void) | undefined;
}

/**
 * Brings back every app that a killed job left paused or stopped: what ran runs, what was paused is paused,
 * what was stopped stays stopped. Leaves jobs under way alone. May be repeated.
 */
export async function recoverApps(
  { stateDir, host: openHost }: HostScope,
  options: RecoverOptions,
): Promise<Omit<RecoverReport, 'hooks'>> {
  const jobs: RecoveredJob[] = [];
  const add = (job: RecoveredJob, restoreId?: string): void => {
    jobs.push(job);
    options.onJob?.(job, restoreId);
  };
  const left = await takeLeftJournals(stateDir, {
    patienceMs: options.patienceMs ?? 60_000,
    onRefused: ({ message, hint }) =>
      add({
        reason: 'do what cannot be read',
        since: '',
        containers: [],
        apps: [],
        left: [],
        error: `${message}. ${hint ?? ''}`,
      }),
    onBusy: (journal) => add({ ...aboutJob(journal), apps: [], left: [], error: isUnderWay }),
  });
  let elsewhere = 0;
  try {
    const host = await openHost();
    const { identity } = await host.info({ signal: options.signal });
    for (const opened of left) {
      if (opened.journal.hostIdentity === identity && host.containers !== undefined)
        add(await recoverJob({ stateDir, host }, opened, options), opened.journal.restoreId);
      else elsewhere++;
    }
  } finally {
    for (const opened of left) await opened[Symbol.asyncDispose]();
  }
  return { jobs, elsewhere };
}

/** A part of `recoverHost()`: waits briefly, tries once what an engine refuses, and reports. Never throws. */
export async function recoverAppsAtStart(means: HookMeans, options: JobOptions): Promise<RecoverReport> {
  try {
    const told = await restoresThatTell(means.stateDir);
    const report = await recoverApps(means, {
      ...options,
      patienceMs: 5_000,
      isAtStart: true,
      onJob: (job, restoreId) => {
        if (job.error === undefined || !told.has(restoreId)) options.onNote?.(describeJob(job));
      },
    });
    await tellOfRecovery(means.notifier, report.jobs);
    return { ...report, hooks: await recoverDueHooks(means, report, options) };
  } catch (error) {
    const why = errorInWords(error);
    options.onNote?.(`What an interrupted job has left stopped cannot be brought back: ${why}`);
    return { jobs: [], hooks: [], elsewhere: 0 };
  }
}

/** Ids of restores that have gone back and could not start what ran: settling them has just reported that. */
async function restoresThatTell(stateDir: string): Promise<ReadonlySet<string | undefined>> {
  const journals = await listJournals(stateDir, () => undefined);
  return new Set(
    journals.flatMap(({ id, step, levels }) => (step === 'staging' && levels.flat().length > 0 ? [id] : [])),
  );
}

/** Tries again, with more patience, what could not be brought back when the host was opened. */
export async function recoverMore(
  means: HookMeans,
  before: RecoverReport,
  options: JobOptions,
): Promise<RecoverReport> {
  const later = await recoverApps(means, options);
  await tellOfRecovery(means.notifier, later.jobs);
  const done = before.jobs.filter(({ error }) => error === undefined);
  const hooks = await recoverDueHooks(means, later, { ...options, isAsked: true });
  return { jobs: [...done, ...later.jobs], hooks, elsewhere: later.elsewhere };
}

/** Runs an application's "it is over" hooks only once the containers of its backup are back. */
async function recoverDueHooks(
  means: HookMeans,
  { jobs }: Pick<RecoverReport, 'jobs'>,
  options: RecoverHooksOptions,
): Promise<readonly DueHook[]> {
  if (!(await hasHookJournals(means.stateDir))) return [];
  const waitsFor = jobs.filter(({ error }) => error !== undefined);
  const { ran, due, notes, hadFailed, isWaiting } = await recoverHooks(means, { ...options, waitsFor });
  if (isWaiting) options.onNote?.('Hooks of an interrupted backup wait until its containers are back.');
  if (ran.length > 0) options.onNote?.(`Hooks of an interrupted backup were run: ${ran.join(', ')}.`);
  for (const note of notes) options.onNote?.(`Warning: ${note}.`);
  await tellOfHooks(means, { notes, isOver: hadFailed && due.length === 0 });
  return due;
}

/** For people. */
export function describeJob({ reason, since, apps, left, error }: RecoveredJob): string {
  const job = `A job that was to ${reason} was interrupted${since === '' ? '' : ` (${localTime(since)})`}`;
  if (error !== undefined) return `${job}: ${error}.`;
  const stays = left.length === 0 ? '' : ` ${describeLeft(left)}.`;
  if (apps.length > 0) return `${job}: ${nameApps(apps)} brought back.${stays}`;
  return left.length === 0 ? `${job}: all runs as before.` : `${job}.${stays}`;
}

/** For people. */
export function describeLeft(left: readonly string[]): string {
  return `${nameApps(left)} left as it is: it was made anew, started or stopped since`;
}

async function recoverJob(
  { stateDir, host }: { readonly stateDir: string; readonly host: Host },
  opened: OpenAppJournal,
  options: RecoverOptions,
): Promise<RecoveredJob> {
  const told = aboutJob(opened.journal);
  const unsettled = await whyUnsettled(stateDir, opened.journal);
  if (unsettled !== undefined) return { ...told, apps: [], left: [], error: unsettled };
  try {
    const byHand = await opened.readByHand();
    const became = byHand === undefined ? undefined : await whatBecame(host, opened.journal);
    if (became === 'stopped') return { ...told, apps: [], left: [], error: byHand };
    if (became !== undefined) {
      // Its user may want it so, and says that by asking what there is to recover.
      const isAsked = options.isAtStart !== true;
      if (isAsked) await opened.remove();
      const [why, then] =
        became === 'removed'
          ? [`it was removed since, and nothing is in its place. Unless that was meant: ${byHand}`, 'If so']
          : [
              'it was started again since, as it was before. Where its Compose file is changed by now, the next "docker compose up" does not take what it writes: look at "holdfast audit" before that',
              'After that',
            ];
      const last = isAsked ? 'It is not said again' : `${then}, "holdfast recover" says it for the last time`;
      return { ...told, apps: [], left: [], error: `${why}. ${last}` };
    }
    const now = await putBackLeft({ host, stateDir, opened }, options);
    // What the job's guardian has done already.
    const before = await opened.readBack();
    const apps = [...new Set([...(before?.changed ?? []), ...now.changed])];
    const left = [...new Set([...(before?.left ?? []), ...now.left])];
    await opened.remove();
    return { ...told, apps, left, error: undefined };
  } catch (error) {
    if (isAppError(error, 'cancelled') || options.signal?.aborted === true) throw error;
    return { ...told, apps: [], left: [], error: errorInWords(error) };
  }
}

function aboutJob({
  reason,
  since,
  levels,
}: AppJournal): Pick<RecoveredJob, 'reason' | 'since' | 'containers'> {
  return { reason, since, containers: levels.flat().map((step) => step.identity.name) };
}

/**
 * `stopped` where one of the containers is, or is gone and what Compose has made in its place does not run: a Compose that
 * is killed between the two leaves its service down. `started` where one runs as it was: its user has started it, or the
 * engine did with the machine (`restart: always`). `removed` where one is gone and nothing was made: Compose
 * makes the new container before it removes the old one, so its user has removed it, or a prune. Undefined where others
 * run in their place.
 */
async function whatBecame({ containers }: Host, { levels }: AppJournal): Promise<Became | undefined> {
  const all = (await containers?.list()) ?? [];
  const found = levels.flat().map(({ identity: { id, stack, service } }): Became | undefined => {
    const same = all.find((container) => container.id === id);
    if (same !== undefined) return isUp(same) ? 'started' : 'stopped';
    const made = all.filter((one) => stack !== undefined && one.stack === stack && one.service === service);
    if (made.some(isUp)) return undefined;
    return made.length > 0 ? 'stopped' : 'removed';
  });
  return worstFirst.find((became) => found.includes(became));
}

const worstFirst = ['stopped', 'started', 'removed'] as const;
type Became = (typeof worstFirst)[number];

/** An app must not start on half restored data; once that is settled, the next recovery starts it. */
async function whyUnsettled(
  stateDir: string,
  { restoreId, reason }: AppJournal,
): Promise<string | undefined> {
  if (restoreId === undefined && !reason.startsWith('restore')) return undefined;
  try {
    // Journals of earlier versions do not name the restore.
    const left =
      restoreId === undefined
        ? await listJournals(stateDir, rethrow)
        : [(await readJournal(stateDir, restoreId)) ?? []].flat();
    return left.some(isHalf) ? 'its restore has to be put right first' : undefined;
  } catch (error) {
    if (!isAppError(error)) throw error;
    return `its restore has to be put right first. ${error.message}. ${error.hint ?? ''}`;
  }
}

function rethrow(error: unknown): never {
  throw error;
}

/** Notifies which containers stay stopped, and when they are back. Never throws: it is noted as well. */
async function tellOfRecovery(notifier: HookMeans['notifier'], jobs: readonly RecoveredJob[]): Promise<void> {
  // What is being brought back has not failed.
  const told = jobs.filter(({ error }) => error !== isUnderWay);
  if (told.length === 0) return;
  try {
    (await notifier()).tell(told.map(happeningOf));
  } catch {
    // Usually a configuration that cannot be read.
  }
}

function happeningOf({ reason, containers, error }: RecoveredJob): Happening {
  const about = { work: 'recovery', subject: containers.join(', ') || 'an interrupted job' } as const;
  if (error === undefined)
    return { ...about, what: 'good', onlyRecovery: true, message: 'All runs again that ran before' };
  return {
    ...about,
    what: 'failed',
    fingerprint: 'left-stopped',
    message: `A job that was to ${reason} was interrupted, and ${containers.map(quote).join(', ') || 'what it had stopped'} cannot be brought back`,
    detail: error,
    hint: 'Mend what is named; then "holdfast recover" brings them back.',
  };
}
