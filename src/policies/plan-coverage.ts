import { formatDuration } from '../model/duration.ts';
import { quote } from '../model/quote.ts';
import type { DataMount, Volume } from '../model/volume.ts';
import { isWithin } from '../model/clean-path.ts';
import { localTime } from '../model/local-time.ts';
import { isSavedConfig } from '../backup/index.ts';
import { ofNamesakes, safetyTag, takeOverHint, type ListedSnapshot } from '../snapshots/index.ts';
import type { Assignment } from './assign-policies.ts';
import { cacheReason, type PlaceUse } from './cache-reason.ts';
import { formatSchedule, longestGapMs, openTimetable } from '../lib/schedule.ts';
import { isSavedWith, type Subject } from './subject.ts';
import type { Schedule } from '../model/policy.ts';

export type PlaceKind = 'volume' | 'anonymous' | 'plugin' | 'bind' | 'tmpfs' | 'other' | 'path';
export type PlaceState = 'protected' | 'unprotected' | 'cache';

/** A place where data is kept, and how well it is protected. */
export interface CoveredPlace {
  readonly kind: PlaceKind;
  /** The volume's name or the host path; for memory, its mount point. */
  readonly name: string;
  readonly stack: string | undefined;
  /** Names of the containers that mount it. */
  readonly consumers: readonly string[];
  readonly state: PlaceState;
  readonly reason: string;
  readonly policies: readonly string[];
  /** The newest good snapshot's id, time and age; undefined when there is none. */
  readonly newest: { readonly id: string; readonly time: string; readonly ageMs: number } | undefined;
}

export interface CoverageView {
  readonly volumes: readonly Volume[];
  readonly mounts: readonly DataMount[];
  /** Commands of containers, by container id. */
  readonly commands: ReadonlyMap<string, readonly string[]>;
  readonly subjects: readonly Subject[];
  readonly assignments: readonly Assignment[];
  /** Of all searched repositories, oldest first. Only this machine's own snapshots protect its data. */
  readonly snapshots: readonly ListedSnapshot[];
  /** The names of this machine. */
  readonly machines: ReadonlySet<string>;
  readonly nowMs: number;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** The maximum age of a backup that no policy covers. */
const freshWithoutPolicyMs = 7 * dayMs;

type Gaps = (schedule: Schedule) => number;
interface View extends CoverageView {
  readonly gaps: Gaps;
  readonly ofOthers: readonly ListedSnapshot[];
}

/** Every volume and every place where a container keeps data, each once, unprotected ones first; pure. */
export function planCoverage(seen: CoverageView): CoveredPlace[] {
  const snapshots = seen.snapshots.filter(({ isOwn }) => isOwn);
  const ofOthers = seen.snapshots.filter(({ isOwn }) => !isOwn);
  const view = { ...seen, snapshots, ofOthers, gaps: gapsFrom(seen.nowMs - 400 * dayMs) };
  const places = [
    ...view.volumes.map((volume) => volumePlace(view, volume)),
    ...mountedPlaces(view),
    ...view.subjects
      .filter(({ kind, name }) => kind === 'path' && !view.mounts.some(({ source }) => source === name))
      .map((subject) => pathPlace(view, subject)),
  ];
  const rank: Readonly<Record<PlaceState, number>> = { unprotected: 0, protected: 1, cache: 2 };
  return places.toSorted(
    (a, b) => rank[a.state] - rank[b.state] || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
}

function volumePlace(view: View, volume: Volume): CoveredPlace {
  const { name, driver, options, consumers, stack } = volume;
  const subject = view.subjects.find((one) => one.kind === 'volume' && one.name === name);
  const isMemory = driver === 'local' && options['type'] === 'tmpfs';
  return {
    ...judge(view, {
      subject,
      lostBy: view.snapshots.findLast(
        (other) => other.volume?.stack === stack && other.missing?.includes(name) === true,
      ),
      use: useOf(view, {
        name,
        mounts: view.mounts.filter(({ type, source }) => type === 'volume' && source === name),
      }),
      harmless: isMemory ? 'it is in memory only' : undefined,
      snapshots: view.snapshots.filter(
        ({ volume: saved }) => saved !== undefined && saved.identity === subject?.identity,
      ),
    }),
    kind: volume.anonymous ? 'anonymous' : isMemory ? 'tmpfs' : driver === 'local' ? 'volume' : 'plugin',
    name,
    stack,
    consumers: [...new Set(consumers.map((consumer) => consumer.name))],
  };
}

/** Bind mounts by source, and mounts of other types than volume and bind by mount point. */
function mountedPlaces(view: View): CoveredPlace[] {
  const groups = new Map<string, DataMount[]>();
  for (const mount of view.mounts) {
    if (mount.type === 'volume') continue;
    const key =
      mount.type === 'bind'
        ? `bind ${mount.source}`
        : `${mount.type} ${mount.consumer.name} ${mount.destination}`;
    groups.set(key, [...(groups.get(key) ?? []), mount]);
  }
  return [...groups.values()].flatMap((mounts) => {
    const [first] = mounts;
    return first === undefined ? [] : [mountPlace(view, first, mounts)];
  });
}

function mountPlace(view: View, first: DataMount, mounts: readonly DataMount[]): CoveredPlace {
  const { type, source, destination, consumer } = first;
  const isBind = type === 'bind' && source !== undefined;
  const subject = isBind ? subjectOf(view, source) : undefined;
  const name = isBind ? source : `${consumer.name}:${destination}`;
  return {
    ...judge(view, {
      subject,
      use: useOf(view, { name: isBind ? source : undefined, mounts }),
      harmless: type === 'tmpfs' ? 'it is in memory only, and lost whenever the container stops' : undefined,
      snapshots: isBind ? view.snapshots.filter((one) => hasPath(view, one, source)) : [],
    }),
    kind: type === 'bind' || type === 'tmpfs' ? type : 'other',
    name,
    stack: consumer.stack,
    consumers: [...new Set(mounts.map((mount) => mount.consumer.name))],
  };
}

/**
 * True for a snapshot of the path or a folder around it, or of a volume whose containers need the path, saved
 * beside its data.
 */
function hasPath(view: View, { volume, config }: ListedSnapshot, source: string): boolean {
  if (volume?.kind !== 'path') return config !== undefined && isSavedConfig(config, source);
  const at = mountOf(view, source)?.at;
  const isBehindLink = at !== undefined && !isWithin(at.path, volume.realPath ?? volume.name);
  return volume.name === source || (isWithin(source, volume.name) && !isBehindLink);
}

function mountOf({ subjects }: View, source: string): Subject | undefined {
  return subjects.find(({ kind, name }) => kind === 'path' && name === source);
}

/** Prefers a subject with a policy, the bind mount itself or a directory around it, to one without. */
function subjectOf(view: View, source: string): Subject | undefined {
  const mount = mountOf(view, source);
  const around = view.subjects.filter((one) =>
    mount === undefined ? one.kind === 'path' && isWithin(source, one.name) : isSavedWith(mount, one),
  );
  const all = mount === undefined ? around : [mount, ...around];
  return all.find((subject) => view.assignments.some((one) => one.subject === subject)) ?? mount;
}

function pathPlace(view: View, subject: Subject): CoveredPlace {
  const snapshots = view.snapshots.filter(
    ({ volume }) => volume !== undefined && volume.identity === subject.identity,
  );
  const judged = judge(view, { subject, use: undefined, harmless: undefined, snapshots });
  return { ...judged, kind: 'path', name: subject.name, stack: undefined, consumers: [] };
}

interface Evidence {
  readonly subject: Subject | undefined;
  readonly use: PlaceUse | undefined;
  /** The newest snapshot of its stack that lacks it because it could not be saved. */
  readonly lostBy?: ListedSnapshot | undefined;
  /** Why losing it is harmless, whatever its snapshots. */
  readonly harmless: string | undefined;
  readonly snapshots: readonly ListedSnapshot[];
}

type Judged = Pick<CoveredPlace, 'state' | 'reason' | 'policies' | 'newest'>;

function judge(view: View, { subject, use, lostBy, harmless, snapshots }: Evidence): Judged {
  const assignments = view.assignments.filter((one) => one.subject === subject);
  const policies = assignments.map(({ policy }) => policy.name);
  const good = snapshots.findLast(
    ({ problemCount, tags, timeDoubt }) =>
      problemCount === 0 && !tags.includes(safetyTag) && timeDoubt?.kind !== 'future',
  );
  const knownTime = good?.timeDoubt?.knownTime ?? good?.time;
  const newest = good && {
    id: good.id,
    time: good.time,
    ageMs: Math.max(0, view.nowMs - Date.parse(knownTime ?? good.time)),
  };
  const future = snapshots.filter(({ timeDoubt }) => timeDoubt?.kind === 'future');
  const told = { policies, newest };
  const inFuture =
    future.length === 0
      ? ''
      : `; not counted, because by this machine’s clock they lie in the future: ${future.map(({ id }) => id.slice(0, 8)).join(', ')}`;
  const hint = subject && takeOverHint(ofNamesakes(view.ofOthers, subject, view.machines), subject.name);
  const isLost = lostBy !== undefined && (newest === undefined || lostBy.time > newest.time);
  const lost = isLost
    ? `; it could not be saved with the rest of its stack at ${localTime(lostBy.time)}`
    : '';
  const aside = `${lost}${inFuture}${hint === undefined ? '' : `; ${hint}`}`;
  if (harmless !== undefined) return { ...told, state: 'cache', reason: harmless };
  const allowedMs = Math.max(
    ...assignments.map((one) => allowedAgeMs(one, view.gaps)),
    policies.length > 0 ? 0 : freshWithoutPolicyMs,
  );
  const by =
    policies.length > 0
      ? `the ${policies.length === 1 ? 'policy' : 'policies'} ${policies.map(quote).join(' and ')}`
      : undefined;
  if (newest !== undefined && newest.ageMs <= allowedMs) {
    return {
      ...told,
      state: 'protected',
      reason: `${by === undefined ? 'it was saved by hand; no policy is about it' : `by ${by}`}${aside}`,
    };
  }
  const cache = subject?.skipped ?? (by === undefined ? use && cacheReason(use) : undefined);
  if (cache !== undefined && subject?.mayHoldData === true)
    return {
      ...told,
      state: 'unprotected',
      reason: `no policy takes it, as ${cache}: name what else is in it under "paths"${aside}`,
    };
  if (cache !== undefined) return { ...told, state: 'cache', reason: cache };
  return {
    ...told,
    state: 'unprotected',
    reason: `${unprotectedReason(newest, { by, hadProblems: snapshots.length > future.length, allowedMs })}${aside}`,
  };
}

function unprotectedReason(
  newest: CoveredPlace['newest'],
  {
    by,
    hadProblems,
    allowedMs,
  }: { readonly by: string | undefined; readonly hadProblems: boolean; readonly allowedMs: number },
): string {
  const who =
    by === undefined
      ? 'no policy is about it'
      : `${by} ${by.startsWith('the policies') ? 'are' : 'is'} about it`;
  if (newest !== undefined)
    return `${who}, and its newest good snapshot is older than ${formatDuration(allowedMs)}`;
  return `${who}, and ${hadProblems ? 'none of its snapshots is whole' : by === undefined ? 'it was never saved' : 'it was not saved yet'}`;
}

/** One run may fail, and the next take its time, before the place counts as unprotected. */
function allowedAgeMs({ policy }: Assignment, gaps: Gaps): number {
  if (policy.schedule === undefined) return freshWithoutPolicyMs;
  return 2 * gaps(policy.schedule) + policy.jitterMs + hourMs;
}

/** Computes the longest gap of each schedule once, however many volumes use it. */
function gapsFrom(fromMs: number): Gaps {
  const known = new Map<string, number>();
  return (schedule) => {
    const key = formatSchedule(schedule);
    const gapMs = known.get(key) ?? longestGapMs(openTimetable(schedule), fromMs);
    known.set(key, gapMs);
    return gapMs;
  };
}

function useOf(
  { commands }: CoverageView,
  { name, mounts }: { readonly name: string | undefined; readonly mounts: readonly DataMount[] },
): PlaceUse {
  return {
    name,
    destinations: [...new Set(mounts.map(({ destination }) => destination))],
    users: mounts.map(({ consumer }) => ({
      image: consumer.image,
      command: commands.get(consumer.id) ?? [],
    })),
  };
}
