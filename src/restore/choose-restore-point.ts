import { formatDuration } from '../model/duration.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { nearNames } from '../model/near-names.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { parseVersionedTarget, type SnapshotReference } from '../model/target.ts';
import { type FindContext, isFuture, knownMs, lineage, ownOf, safetyTag } from '../snapshots/index.ts';
import { localTime } from '../model/local-time.ts';

/** Snapshots of a stack that belong together. */
export interface RestorePoint {
  readonly stack: string;
  /** The id of the moment at which they were taken; undefined when they were taken one by one. */
  readonly id: string | undefined;
  /** By name. */
  readonly snapshots: readonly Snapshot[];
  /** Names of volumes that could not be saved at that moment; their snapshots, if any, are older. */
  readonly missing: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Resolves `STACK`, `STACK@TIME`, `STACK@SNAPSHOT` or `STACK@RESTOREPOINT`; pure. The stack's name alone
 * means the newest moment that has all of its volumes; without one, throws `usage` listing the moments. Only
 * a named time, snapshot or restore point can mix snapshots of different moments, and the notes say so.
 */
export function chooseRestorePoint(text: string, context: FindContext): RestorePoint {
  const { target, snapshot: reference } = parseVersionedTarget(text, context.now);
  if (target.kind === 'path')
    throw new AppError('usage', `${quote(text)} is no stack`, { hint: 'Write --stack NAME or NAME@TIME.' });
  const stack = target.name;
  const ofStack = snapshotsOf(stack, reference, context);
  if (ofStack.length === 0) throw unknownStack(stack, context);
  const limit = limitOf(reference, { stack, ofStack, context });
  const until = untilLimit(ofStack, limit, context);
  if (until.length === 0) throw nothingThen(stack, reference, ofStack);
  const membership = membersOf(until);
  const moment = limit.moment ?? (limit.single !== undefined ? undefined : newestWhole(until, membership));
  if (reference.kind === 'latest') {
    const message = whyNotLatest({ stack, moment, until, membership });
    const atMs = Math.max(...until.map((one) => knownMs(one, context)));
    if (message !== undefined) throw mustChoose(message, { stack, until, atMs });
  }
  const snapshots = newestOfEach([...missingFrom(moment, until, membership), ...(moment?.snapshots ?? [])]);
  return {
    stack,
    id: moment?.id,
    snapshots,
    missing: moment === undefined ? [] : missingIn(moment),
    notes: notesOf({ stack, moment, snapshots, until, membership }),
  };
}

/**
 * The stack's snapshots, oldest first; of this host where the name is ambiguous, or of the machine whose
 * moment is named. Directories that its containers mount are restored on their own, unless there is nothing
 * else.
 */
function snapshotsOf(stack: string, reference: SnapshotReference, context: FindContext): Snapshot[] {
  const isOfStack = ({ volume, tags }: Snapshot): boolean =>
    volume?.stack === stack && !tags.includes(safetyTag);
  const ofStack = context.snapshots.filter(isOfStack);
  const chosen = new Set(
    ofNamedMachine(reference, ofStack, context) ??
      namesOf(ofStack, context).flatMap((name) => lineageIn(stack, name, context)),
  );
  const all = ofStack.filter((snapshot) => chosen.has(snapshot));
  const ofVolumes = all.filter(({ volume }) => volume?.kind === 'volume');
  return ofVolumes.length > 0 ? ofVolumes : all;
}

/** An id of another machine's snapshot selects that machine. */
function ofNamedMachine(
  reference: SnapshotReference,
  ofStack: readonly Snapshot[],
  context: FindContext,
): readonly Snapshot[] | undefined {
  if (reference.kind !== 'id') return undefined;
  const { prefix } = reference;
  const wanted = ofStack.filter(
    ({ id, restorePoint }) => id.startsWith(prefix) || restorePoint?.startsWith(prefix) === true,
  );
  const machines = new Set(wanted.map(({ volume }) => volume?.host.identity));
  if (machines.size !== 1 || wanted.some(ownOf(context))) return undefined;
  return ofStack.filter(({ volume }) => machines.has(volume?.host.identity));
}

/** Where this machine has recorded the stack's volumes, a stack of the same name elsewhere adds none. */
function namesOf(ofStack: readonly Snapshot[], context: FindContext): string[] {
  const own = ofStack.filter(ownOf(context));
  const recorded = newestRecord(own);
  return [...new Set([...(recorded === undefined ? ofStack : own).map(volumeName), ...(recorded ?? [])])];
}

function newestRecord(snapshots: readonly Snapshot[]): readonly string[] | undefined {
  return snapshots.findLast(({ volume }) => Array.isArray(volume?.stackVolumes))?.volume?.stackVolumes;
}

function lineageIn(stack: string, name: string, context: FindContext): readonly Snapshot[] {
  try {
    return lineage(name, context);
  } catch (error) {
    if (!isAppError(error, 'usage')) throw error;
    const { code, message, detail } = error;
    throw new AppError(code, message, {
      detail,
      hint: `Name a snapshot of the machine that is meant: --stack ${stack}@ID. It stands for the moment in which it was saved.`,
      cause: error,
    });
  }
}

/** A snapshot from the future counts only where it is named, or where there is no other. */
function untilLimit(ofStack: readonly Snapshot[], limit: Limit, context: FindContext): Snapshot[] {
  const chosen = new Set(limit.moment?.snapshots ?? [limit.single]);
  const before = ofStack.filter((one) => chosen.has(one) || knownMs(one, context) <= limit.ms);
  const known = before.filter((one) => chosen.has(one) || !isFuture(one, context));
  return known.length > 0 ? known : before;
}

/** What was saved at one still moment. */
interface Moment {
  readonly id: string | undefined;
  /** Oldest first. */
  readonly snapshots: readonly Snapshot[];
}

interface Limit {
  /** Nothing newer than this, in milliseconds since 1970. */
  readonly ms: number;
  readonly moment?: Moment | undefined;
  /** It was named, and was taken on its own. */
  readonly single?: Snapshot;
}

interface StackSnapshots {
  readonly stack: string;
  readonly ofStack: readonly Snapshot[];
  readonly context: FindContext;
}

function limitOf(reference: SnapshotReference, { stack, ofStack, context }: StackSnapshots): Limit {
  if (reference.kind === 'latest') return { ms: Infinity };
  if (reference.kind === 'time') return { ms: reference.time.getTime() };
  const { prefix } = reference;
  const moments = momentsOf(ofStack).filter(({ id }) => id !== undefined);
  const momentsFound = moments.filter(({ id }) => id?.startsWith(prefix) === true);
  const found = ofStack.filter(({ id }) => id.startsWith(prefix));
  if (momentsFound.length + found.length > 1)
    throw new AppError('usage', `Several snapshots or restore points begin with ${quote(prefix)}`, {
      hint: 'Write more of the id.',
    });
  const [single] = found;
  const moment =
    momentsFound[0] ?? moments.find(({ id }) => single !== undefined && id === single.restorePoint);
  if (moment !== undefined)
    return { ms: Math.max(...moment.snapshots.map((one) => knownMs(one, context))), moment };
  if (single !== undefined) return { ms: knownMs(single, context), single };
  throw new AppError(
    'not-found',
    `There is no snapshot or restore point ${quote(prefix)} of the stack ${quote(stack)}`,
    { hint: `See "holdfast snapshots --stack ${stack}".` },
  );
}

/** In the order of their ends. A snapshot that was taken on its own is a moment of its own. */
function momentsOf(ofStack: readonly Snapshot[]): Moment[] {
  const moments = new Map<string, Snapshot[]>();
  for (const snapshot of ofStack) {
    const key = snapshot.restorePoint ?? snapshot.id;
    const known = moments.get(key);
    // Moves the moment to the position of its last snapshot.
    moments.delete(key);
    moments.set(key, [...(known ?? []), snapshot]);
  }
  return [...moments.values()].map((snapshots) => ({ id: snapshots[0]?.restorePoint, snapshots }));
}

/** A backup of a single volume is no moment of the stack; a moment that has lost its other volumes is. */
function isStackMoment(moment: Moment): boolean {
  return moment.snapshots.length > 1 || missingIn(moment).length > 0;
}

function missingIn({ snapshots }: Moment): readonly string[] {
  return snapshots.findLast(({ missing }) => missing !== undefined)?.missing ?? [];
}

/** Which volumes the stack had at a time. */
interface Membership {
  readonly members: ReadonlySet<string>;
  /** Volumes with snapshots that had left the stack. */
  readonly left: ReadonlySet<string>;
  /** Volumes of the stack without a snapshot until then. */
  readonly unsaved: readonly string[];
}

/**
 * Taken from the newest snapshot that records it. Where none does, a volume counts as gone when the last two
 * moments of several volumes lack it and it was not saved on its own since.
 */
function membersOf(until: readonly Snapshot[]): Membership {
  const saved = new Set(until.map(volumeName));
  const recorded = newestRecord(until);
  const isMember =
    recorded === undefined ? isMemberStill(until) : (name: string): boolean => recorded.includes(name);
  const members = new Set([...saved].filter(isMember));
  return {
    members,
    left: new Set([...saved].filter((name) => !members.has(name))),
    unsaved: (recorded ?? []).filter((name) => !saved.has(name)),
  };
}

function isMemberStill(until: readonly Snapshot[]): (name: string) => boolean {
  const together = momentsOf(until).filter(isStackMoment);
  const [since] = together.at(-2)?.snapshots ?? [];
  const still = new Set(until.slice(since === undefined ? 0 : until.indexOf(since)).map(volumeName));
  return (name) => still.has(name);
}

function newestWhole(until: readonly Snapshot[], { members }: Membership): Moment | undefined {
  return momentsOf(until).findLast((moment) => lacking(moment, members).length === 0);
}

function lacking({ snapshots }: Moment, members: ReadonlySet<string>): string[] {
  const have = new Set(snapshots.map(volumeName));
  return [...members].filter((name) => !have.has(name));
}

/** For the members that a moment lacks: their newest snapshots until its end. */
function missingFrom(
  moment: Moment | undefined,
  until: readonly Snapshot[],
  { members }: Membership,
): Snapshot[] {
  const wanted = new Set(moment === undefined ? members : lacking(moment, members));
  return newestOfEach(until).filter((snapshot) => wanted.has(volumeName(snapshot)));
}

function volumeName({ volume, name }: Snapshot): string {
  return volume?.name ?? name;
}

function timeMs({ time }: Snapshot): number {
  return Date.parse(time);
}

/** By name. */
function newestOfEach(snapshots: readonly Snapshot[]): Snapshot[] {
  const newest = new Map(snapshots.map((snapshot) => [volumeName(snapshot), snapshot]));
  return [...newest.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, snapshot]) => snapshot);
}

interface Chosen {
  readonly stack: string;
  readonly moment: Moment | undefined;
  readonly snapshots: readonly Snapshot[];
  readonly until: readonly Snapshot[];
  readonly membership: Membership;
}

function notesOf(chosen: Chosen): string[] {
  const { moment, snapshots, membership } = chosen;
  const others = snapshots.filter((snapshot) => moment !== undefined && !moment.snapshots.includes(snapshot));
  const lost = moment === undefined ? [] : missingIn(moment);
  const mixed = [
    ...(lost.length > 0 ? [`Could not be saved at that moment: ${lost.map(quote).join(', ')}.`] : []),
    ...(others.length > 0
      ? [`Not part of the restore point, and taken from before it: ${named(others)}.`]
      : []),
  ];
  return [
    ...(moment === undefined ? oneByOne(snapshots) : mixed),
    ...newerNotes(chosen),
    ...leftNotes(membership),
  ];
}

function oneByOne(snapshots: readonly Snapshot[]): string[] {
  if (snapshots.length <= 1) return [];
  const times = snapshots.map(timeMs);
  const spreadMs = Math.max(...times) - Math.min(...times);
  const apart = spreadMs < 1000 ? '' : `; the oldest and the newest are ${formatDuration(spreadMs)} apart`;
  return [`These snapshots were taken one by one, and not behind one still moment${apart}.`];
}

/** What is newer than the restored moment, and why it is not used. */
function newerNotes({ stack, moment, until, membership: { members } }: Chosen): string[] {
  if (moment === undefined) return [];
  const newer = newerThan(moment, until);
  const partial = newer.findLast(isStackMoment);
  const single = newestOfEach(newer.filter((one) => !isStackMoment(one)).flatMap((one) => one.snapshots));
  const lacks = partial === undefined ? [] : lacking(partial, members);
  const wereLost = partial !== undefined && lacks.every((name) => missingIn(partial).includes(name));
  const why = wereLost ? ', which could not be saved then' : '';
  return [
    ...(partial?.id !== undefined && lacks.length > 0
      ? [
          `There is a newer restore point without ${lacks.map(quote).join(', ')}${why}: ${partial.id}. To take that one: --stack ${stack}@${partial.id}`,
        ]
      : []),
    ...(single.length > 0
      ? [
          `There are newer snapshots of single volumes, which belong to no moment of the whole stack: ${named(single)}.`,
        ]
      : []),
  ];
}

function newerThan(moment: Moment, until: readonly Snapshot[]): Moment[] {
  const moments = momentsOf(until);
  return moments.slice(moments.findIndex(({ snapshots }) => snapshots[0] === moment.snapshots[0]) + 1);
}

function leftNotes({ left, unsaved }: Membership): string[] {
  return [
    ...(left.size > 0
      ? [`No part of the stack any more, and left as it is: ${[...left].toSorted().map(quote).join(', ')}.`]
      : []),
    ...(unsaved.length > 0 ? [`Never saved, and left as it is: ${unsaved.map(quote).join(', ')}.`] : []),
  ];
}

function named(some: readonly Snapshot[]): string {
  return some.map((snapshot) => quote(volumeName(snapshot))).join(', ');
}

const listedAtMost = 8;

/**
 * Why the newest whole moment does not stand for the stack. When two moments of several volumes follow it
 * without the same volume, that volume is no longer saved with the others, and the caller has to name a
 * moment.
 */
function whyNotLatest({
  stack,
  moment,
  until,
  membership: { members },
}: Omit<Chosen, 'snapshots'>): string | undefined {
  const all = [...members].toSorted().map(quote).join(', ');
  if (moment === undefined) return `No moment has all of the stack ${quote(stack)}: ${all}`;
  const partial = newerThan(moment, until).filter(isStackMoment);
  const [name] = [...members].filter(
    (member) => partial.filter((one) => lacking(one, members).includes(member)).length > 1,
  );
  if (name === undefined) return undefined;
  const time = moment.snapshots.at(-1)?.time ?? '';
  return `The newest moment that has all of the stack ${quote(stack)} is of ${localTime(time)}: the moments since then lack ${quote(name)}`;
}

interface Nothing extends Pick<Chosen, 'stack' | 'until'> {
  readonly atMs: number;
}

/** Lists the moments, newest first, and how to choose one. */
function mustChoose(message: string, { stack, until, atMs }: Nothing): AppError {
  const moments = momentsOf(until).toReversed();
  const lines = moments.slice(0, listedAtMost).map((moment) => {
    const [first] = moment.snapshots;
    const id = moment.id ?? first?.id.slice(0, 8) ?? '';
    return `${id.padEnd(16)}  ${localTime(moment.snapshots.at(-1)?.time ?? '')}  ${named(newestOfEach(moment.snapshots))}`;
  });
  const rest = moments.length - lines.length;
  const at = localTime(Math.ceil(atMs / 1000) * 1000);
  return new AppError('usage', message, {
    detail: [...lines, ...(rest > 0 ? [`and ${rest} older`] : [])].join('\n'),
    hint: `Choose: --stack ${stack}@ID for a moment, with what it lacks from before it, or --stack ${stack}@${at} for the newest of each volume. For moments of the whole stack: holdfast backup --stack ${stack}`,
  });
}

function unknownStack(stack: string, { snapshots }: FindContext): AppError {
  const near = nearNames(stack, [...new Set(snapshots.flatMap(({ volume }) => volume?.stack ?? []))]);
  return new AppError('not-found', `There is no snapshot of a stack ${quote(stack)} in this repository`, {
    hint:
      near.length > 0
        ? `Did you mean ${near.map(quote).join(' or ')}?`
        : 'See "holdfast snapshots" for what there is.',
  });
}

function nothingThen(stack: string, reference: SnapshotReference, ofStack: readonly Snapshot[]): AppError {
  const when = reference.kind === 'time' ? ` from ${quote(reference.text)} or before` : '';
  const [oldest] = ofStack;
  return new AppError('not-found', `There is no snapshot of the stack ${quote(stack)}${when}`, {
    detail: oldest === undefined ? undefined : `The oldest is from ${localTime(oldest.time)}.`,
  });
}
