import path from 'node:path';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import {
  type SnapshotReference,
  type Target,
  type VersionedTarget,
  parseVersionedTarget,
} from '../model/target.ts';
import { didYouMean, nearNames } from '../model/near-names.ts';
import type { OwnTest } from './own-snapshots.ts';
import type { TimeDoubt } from './snapshot-order.ts';
import { localTime } from '../model/local-time.ts';

/** The tag of safety snapshots. They are found by id only: "latest" is the latest backup. */
export const safetyTag = 'before-restore';

export interface FindContext {
  /** Oldest first, by their known order. */
  readonly snapshots: readonly Snapshot[];
  /** Doubtful times, by snapshot id. */
  readonly doubts?: ReadonlyMap<string, TimeDoubt> | undefined;
  /** The lineage of a volume's name or an absolute path on this host, when it is known. */
  readonly identityOf: (name: string) => string | undefined;
  /**
   * True for snapshots that this machine saved; names and "latest" prefer them. Without it, all count as own.
   */
  readonly isOwn?: OwnTest | undefined;
  readonly now: Date;
  /** Why a snapshot cannot be read, by its id. */
  readonly damaged?: ReadonlyMap<string, AppError>;
}

/** Resolves `latest`, `ID`, `NAME`, `NAME@latest`, `NAME@ID` or `NAME@TIME`; pure. Names go before ids. */
export function findSnapshot(text: string, context: FindContext): Snapshot {
  if (text === 'latest') return newestOfAll(context);
  const { target, snapshot: reference } = versionMeant(text, context);
  const name = targetName(target);
  const snapshots = meantBy(name, reference, context);
  if (reference.kind === 'id') refuseDamaged(reference.prefix, context);
  if (snapshots.length > 0) return pick(reference, { name, snapshots, context });
  const byId =
    target.kind === 'volume' && name === text ? findById(text.toLowerCase(), context.snapshots) : undefined;
  if (byId !== undefined) return byId;
  refuseDamaged(text.toLowerCase(), context);
  throw unknown(name, context);
}

/** True when a text names this snapshot by its id, not by a name or `latest`. */
export function isNamedById({ id }: Snapshot, text: string, context: FindContext): boolean {
  const { snapshot: reference } = versionMeant(text, context);
  return id.startsWith(reference.kind === 'id' ? reference.prefix : text.toLowerCase());
}

/** The machine of a snapshot, for display. */
export function machineOf({ volume, hostname }: Snapshot): string {
  return volume?.host.name ?? hostname;
}

/**
 * Parses `NAME[@VERSION]` given the existing snapshots; pure. A directory may be called `/srv/app@2024`,
 * which also reads as `/srv/app` in that year: names go before versions.
 */
export function versionMeant(text: string, { snapshots, now }: FindContext): VersionedTarget {
  const parsed = parseVersionedTarget(text, now);
  if (parsed.target.kind === 'volume' || !text.includes('@')) return parsed;
  const whole: Target = { kind: 'path', path: text };
  const isName = snapshots.some(({ volume }) => volume?.kind === 'path' && volume.name === targetName(whole));
  return isName ? { target: whole, snapshot: { kind: 'latest' } } : parsed;
}

/** Refused when a volume is called "latest": the text would be ambiguous. */
function newestOfAll(context: FindContext): Snapshot {
  if (context.snapshots.every(({ name }) => name !== 'latest'))
    return (
      newest(context.snapshots.filter(ownOf(context)), context) ??
      newest(context.snapshots, context) ??
      nothingYet()
    );
  throw new AppError('usage', '"latest" means the newest snapshot of all, and there is a volume "latest"', {
    hint: 'Write "latest@latest" for the newest of that volume, or a snapshot’s id.',
  });
}

/** The name under which a target's snapshots are kept: paths are made absolute. */
export function targetName(target: Target): string {
  return target.kind === 'path' ? path.resolve(target.path) : target.name;
}

interface Lineage {
  readonly name: string;
  readonly snapshots: readonly Snapshot[];
  readonly context: FindContext;
}

function pick(reference: SnapshotReference, { name, snapshots, context }: Lineage): Snapshot {
  const all = context.snapshots;
  if (reference.kind === 'latest') return newest(snapshots, context) ?? onlySafety(name);
  if (reference.kind === 'id') {
    // A restore from another lineage moves a volume to that lineage; its former snapshots still bear its
    // name.
    const byId =
      findById(reference.prefix, snapshots) ??
      findById(
        reference.prefix,
        all.filter((one) => one.name === name),
      );
    if (byId !== undefined) return byId;
    throw new AppError('not-found', `There is no snapshot ${quote(reference.prefix)} of ${quote(name)}`, {
      detail: listing(snapshots),
    });
  }
  const latestMs = reference.time.getTime();
  const isThen = (snapshot: Snapshot): boolean => knownMs(snapshot, context) <= latestMs;
  const found =
    newest(snapshots.filter(isThen), context) ?? newest(relatives(snapshots, all).filter(isThen), context);
  if (found !== undefined) return found;
  throw new AppError(
    'not-found',
    `There is no snapshot of ${quote(name)} from ${quote(reference.text)} or before`,
    {
      detail: listing(snapshots),
    },
  );
}

/** Snapshots of the same lineages by other machines, and those that the lineages continue. */
function relatives(snapshots: readonly Snapshot[], all: readonly Snapshot[]): readonly Snapshot[] {
  const identities = new Set(
    snapshots.flatMap(({ volume }) =>
      volume === undefined ? [] : [volume.identity, ...(volume.continues ? [volume.continues.identity] : [])],
    ),
  );
  return all.filter(({ volume }) => volume !== undefined && identities.has(volume.identity));
}

/**
 * The snapshots of a name: those that this machine saved of the volume with that name here, else those that
 * it saved under the name, else those of the one lineage of other machines with that name.
 */
export function lineage(name: string, context: FindContext): readonly Snapshot[] {
  const { snapshots, identityOf } = context;
  const identity = identityOf(name);
  const ofVolume =
    identity === undefined ? [] : snapshots.filter((snapshot) => snapshot.volume?.identity === identity);
  const own = ofVolume.filter(ownOf(context));
  if (own.length > 0) return own;
  if (ofVolume.length > 0) return ofVolume;
  const bearing = snapshots.filter((snapshot) => snapshot.volume?.name === name);
  const ownBearing = bearing.filter(ownOf(context));
  const named = ownBearing.length > 0 ? ownBearing : bearing;
  const identities = new Set(named.map((snapshot) => snapshot.volume?.identity));
  if (identities.size <= 1) return named;
  throw new AppError('usage', `${quote(name)} means different volumes in this repository`, {
    detail: listing(named, (snapshot) => ` on ${quote(snapshot.volume?.host.name ?? snapshot.hostname)}`),
    hint: 'Name the snapshot by its id.',
  });
}

/** An id is unambiguous even when several machines have the name. */
function meantBy(name: string, reference: SnapshotReference, context: FindContext): readonly Snapshot[] {
  try {
    return lineage(name, context);
  } catch (error) {
    if (reference.kind !== 'id' || !isAppError(error, 'usage')) throw error;
    return context.snapshots.filter((snapshot) => snapshot.volume?.name === name);
  }
}

/** True for what this machine saved; for everything when that is unknown. */
export function ownOf({ isOwn }: Pick<FindContext, 'isOwn'>): OwnTest {
  return isOwn ?? (() => true);
}

function findById(start: string, snapshots: readonly Snapshot[]): Snapshot | undefined {
  if (!/^[0-9a-f]+$/.test(start)) return undefined;
  const found = snapshots.filter((snapshot) => snapshot.id.startsWith(start));
  if (found.length <= 1) return found[0];
  throw new AppError('usage', `Several snapshots begin with ${quote(start)}`, {
    detail: listing(found),
    hint: 'Write more of the id.',
  });
}

/** A snapshot with a time in the future is the newest only when there is no other. */
function newest(snapshots: readonly Snapshot[], context: FindContext): Snapshot | undefined {
  const backups = snapshots.filter((snapshot) => !snapshot.tags.includes(safetyTag));
  return backups.findLast((snapshot) => !isFuture(snapshot, context)) ?? backups.at(-1);
}

export function isFuture({ id }: Snapshot, { doubts }: Pick<FindContext, 'doubts'>): boolean {
  return doubts?.get(id)?.kind === 'future';
}

/** When it was saved, as far as known, in milliseconds since 1970. */
export function knownMs({ id, time }: Snapshot, { doubts }: Pick<FindContext, 'doubts'>): number {
  return doubts?.get(id)?.knownMs ?? Date.parse(time);
}

/** Notes for a chosen snapshot: doubtful times of its volume's snapshots that were skipped, and its own. */
export function doubtNotes(chosen: Snapshot, context: FindContext): string[] {
  const { doubts = new Map<string, TimeDoubt>(), snapshots } = context;
  const own = doubts.get(chosen.id);
  const aside = snapshots.filter(
    (one) =>
      one.id !== chosen.id &&
      one.volume !== undefined &&
      one.volume.identity === chosen.volume?.identity &&
      !one.tags.includes(safetyTag) &&
      isFuture(one, context),
  );
  return [
    ...(own === undefined ? [] : [`Of the snapshot ${idAndTime(chosen)}, ${own.reason}.`]),
    ...(aside.length === 0
      ? []
      : [
          `Left aside, because they lie in the future by this machine’s clock: ${aside.map(idAndTime).join(', ')}. They may be newer than their order says: look at them, by their ids.`,
        ]),
  ];
}

function idAndTime({ id, time }: Snapshot): string {
  return `${id.slice(0, 8)} (${localTime(time)})`;
}

/** A damaged snapshot that is named is reported as damaged, not as missing. */
function refuseDamaged(start: string, { damaged, snapshots }: FindContext): void {
  if (!/^[0-9a-f]{4,}$/.test(start) || snapshots.some(({ id }) => id.startsWith(start))) return;
  for (const [id, error] of damaged ?? []) if (id.startsWith(start)) throw error;
}

const listedAtMost = 8;

/** The newest few, one per line. */
function listing(snapshots: readonly Snapshot[], extra: (snapshot: Snapshot) => string = () => ''): string {
  const lines = snapshots.slice(-listedAtMost).toReversed();
  const rest = snapshots.length - lines.length;
  return [
    ...lines.map(
      (snapshot) =>
        `${snapshot.id.slice(0, 8)}  ${localTime(snapshot.time)}  ${quote(snapshot.name)}${extra(snapshot)}`,
    ),
    ...(rest > 0 ? [`and ${rest} older`] : []),
  ].join('\n');
}

function unknown(reference: string, { snapshots }: FindContext): AppError {
  const near = nearNames(reference, [...new Set(snapshots.map((snapshot) => snapshot.name))]);
  const isStack = snapshots.some(({ volume }) => volume?.stack === reference);
  return new AppError('not-found', `There is no snapshot of ${quote(reference)} in this repository`, {
    hint: isStack
      ? `It is a stack: holdfast restore --stack ${reference}. Its volumes: holdfast snapshots --stack ${reference}`
      : (didYouMean(near) ?? 'See "holdfast snapshots" for what there is.'),
  });
}

function nothingYet(): never {
  throw new AppError('not-found', 'This repository has no snapshots yet', {
    hint: 'Make one with "holdfast backup".',
  });
}

function onlySafety(name: string): never {
  throw new AppError(
    'not-found',
    `There is no backup of ${quote(name)}, only what restores saved before they replaced it`,
    {
      hint: 'Name one of those by its id; "holdfast snapshots" lists them.',
    },
  );
}
