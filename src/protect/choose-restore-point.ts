import { formatDuration } from '../model/duration.ts';
import { AppError } from '../model/errors.ts';
import { nearNames } from '../model/near-names.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import { parseVersionedTarget, type SnapshotReference } from '../model/target.ts';
import { type FindContext, lineage, safetyTag } from './find-snapshot.ts';

/** The snapshots of a stack that belong together. */
export interface RestorePoint {
  readonly stack: string;
  /** Of the moment behind which all of them were taken; undefined when they were taken one by one. */
  readonly id: string | undefined;
  /** By name. */
  readonly snapshots: readonly Snapshot[];
  readonly notes: readonly string[];
}

/** Finds what `STACK`, `STACK@TIME`, `STACK@SNAPSHOT` or `STACK@RESTOREPOINT` means; pure. */
export function chooseRestorePoint(text: string, context: FindContext): RestorePoint {
  const { target, snapshot: reference } = parseVersionedTarget(text, context.now);
  if (target.kind === 'path')
    throw new AppError('usage', `${quote(text)} is no stack`, { hint: 'Write --stack NAME or NAME@TIME.' });
  const stack = target.name;
  const ofStack = snapshotsOf(stack, context);
  if (ofStack.length === 0) throw unknownStack(stack, context);
  const limit = limitOf(reference, { stack, ofStack });
  const until = ofStack.filter((snapshot) => Date.parse(snapshot.time) <= limit.ms);
  const newest = limit.isSingle ? undefined : newestPoint(ofStack, limit.ms);
  const id = limit.restorePoint ?? (isOutdated(newest, until) ? undefined : newest);
  const snapshots = id === undefined ? newestOfEach(until) : withMissing(id, { ofStack, until });
  if (snapshots.length === 0) throw nothingThen(stack, reference, ofStack);
  return { stack, id, snapshots, notes: notesOf({ id, snapshots, until }) };
}

/** Those of its volumes, oldest first; of this host's own where a name means several. */
function snapshotsOf(stack: string, context: FindContext): Snapshot[] {
  const isOfStack = ({ volume, tags }: Snapshot): boolean =>
    volume?.stack === stack && !tags.includes(safetyTag);
  const names = new Set(
    context.snapshots.filter(isOfStack).flatMap(({ volume }) => (volume === undefined ? [] : [volume.name])),
  );
  const chosen = new Set([...names].flatMap((name) => lineage(name, context)).filter(isOfStack));
  return context.snapshots.filter((snapshot) => chosen.has(snapshot));
}

interface Limit {
  /** Nothing newer than this. */
  readonly ms: number;
  readonly restorePoint?: string | undefined;
  /** A snapshot was named that was taken by itself. */
  readonly isSingle?: boolean;
}

function limitOf(
  reference: SnapshotReference,
  { stack, ofStack }: { readonly stack: string; readonly ofStack: readonly Snapshot[] },
): Limit {
  if (reference.kind === 'latest') return { ms: Infinity };
  if (reference.kind === 'time') return { ms: reference.time.getTime() };
  const { prefix } = reference;
  const points = [...new Set(ofStack.flatMap(({ restorePoint }) => restorePoint ?? []))];
  const pointsFound = points.filter((id) => id.startsWith(prefix));
  const found = ofStack.filter(({ id }) => id.startsWith(prefix));
  if (pointsFound.length + found.length > 1)
    throw new AppError('usage', `Several snapshots or restore points begin with ${quote(prefix)}`, {
      hint: 'Write more of the id.',
    });
  const [point] = pointsFound;
  if (point !== undefined) return { ms: Infinity, restorePoint: point };
  const [snapshot] = found;
  if (snapshot === undefined)
    throw new AppError(
      'not-found',
      `There is no snapshot or restore point ${quote(prefix)} of the stack ${quote(stack)}`,
      { hint: `See "holdfast snapshots --stack ${stack}".` },
    );
  const { restorePoint } = snapshot;
  return { ms: Date.parse(snapshot.time), restorePoint, isSingle: restorePoint === undefined };
}

/** The one whose last snapshot is the newest that is not after the limit. */
function newestPoint(ofStack: readonly Snapshot[], limitMs: number): string | undefined {
  const ends = new Map<string, number>();
  for (const { restorePoint, time } of ofStack)
    if (restorePoint !== undefined)
      ends.set(restorePoint, Math.max(Date.parse(time), ends.get(restorePoint) ?? 0));
  const before = [...ends].filter(([, ms]) => ms <= limitMs).sort(([, a], [, b]) => a - b);
  return before.at(-1)?.[0];
}

/** True when each of its volumes has been saved again since. */
function isOutdated(id: string | undefined, until: readonly Snapshot[]): boolean {
  return newestOfEach(until.filter(({ restorePoint }) => restorePoint === id)).every((one) =>
    until.some(
      ({ volume, time }) => volume?.name === one.volume?.name && Date.parse(time) > Date.parse(one.time),
    ),
  );
}

/**
 * The snapshots of a restore point, and of volumes that have no part in it the newest until then: their backup may have
 * failed. Not of those that had none in the point before either: they belong to the stack no more.
 */
function withMissing(
  id: string,
  { ofStack, until }: { readonly ofStack: readonly Snapshot[]; readonly until: readonly Snapshot[] },
): Snapshot[] {
  const own = ofStack.filter(({ restorePoint }) => restorePoint === id);
  const have = new Set(own.map(({ volume }) => volume?.name));
  const endMs = Math.max(...own.map(({ time }) => Date.parse(time)));
  const beginMs = Math.min(...own.map(({ time }) => Date.parse(time)));
  const before = newestPoint(
    ofStack.filter(({ restorePoint }) => restorePoint !== id),
    beginMs,
  );
  const sinceMs = Math.min(
    ...ofStack
      .filter(({ restorePoint }) => before !== undefined && restorePoint === before)
      .map(({ time }) => Date.parse(time)),
  );
  const others = newestOfEach(until.filter(({ time }) => Date.parse(time) <= endMs)).filter(
    ({ volume, time }) => !have.has(volume?.name) && (before === undefined || Date.parse(time) >= sinceMs),
  );
  return newestOfEach([...others, ...own]);
}

function newestOfEach(snapshots: readonly Snapshot[]): Snapshot[] {
  const newest = new Map(snapshots.map((snapshot) => [snapshot.volume?.name ?? snapshot.name, snapshot]));
  return [...newest.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, snapshot]) => snapshot);
}

interface Chosen {
  readonly id: string | undefined;
  readonly snapshots: readonly Snapshot[];
  readonly until: readonly Snapshot[];
}

const closeMs = 60 * 60_000;

function notesOf({ id, snapshots, until }: Chosen): string[] {
  const times = snapshots.map(({ time }) => Date.parse(time));
  const spreadMs = Math.max(...times) - Math.min(...times);
  if (id === undefined) {
    if (snapshots.length === 1) return [];
    const note = 'These snapshots were taken one by one, and not behind one still moment';
    return [
      spreadMs > closeMs
        ? `${note}; the oldest and the newest are ${formatDuration(spreadMs)} apart.`
        : `${note}.`,
    ];
  }
  const of = (some: readonly Snapshot[]): string => some.map(({ name }) => quote(name)).join(', ');
  const have = new Set(snapshots.map(({ volume }) => volume?.name));
  const others = snapshots.filter(({ restorePoint }) => restorePoint !== id);
  const left = newestOfEach(until).filter(({ volume }) => !have.has(volume?.name));
  const newer = newestOfEach(until).filter((one) => have.has(one.volume?.name) && !snapshots.includes(one));
  return [
    ...(others.length > 0 ? [`Not part of the restore point, and taken from before it: ${of(others)}.`] : []),
    ...(newer.length > 0
      ? [`There are newer snapshots of single volumes, which belong to no restore point: ${of(newer)}.`]
      : []),
    ...(left.length > 0 ? [`No part of the stack any more, and left as it is: ${of(left)}.`] : []),
  ];
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
    detail: oldest === undefined ? undefined : `The oldest is from ${oldest.time}.`,
  });
}
