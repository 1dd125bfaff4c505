import type { Snapshot } from '../model/snapshot.ts';
import { localTime } from '../model/local-time.ts';

/** Evidence of order besides the snapshots' own times. */
export interface OrderEvidence {
  readonly nowMs: number;
  /** When their records were written, by the store's clock. */
  readonly storedMs?: ReadonlyMap<string, number> | undefined;
  /** Ids of snapshots in the order in which this machine saved them, of all volumes. */
  readonly saved?: readonly string[] | undefined;
}

/** Why a snapshot's time cannot be right: its machine's clock was wrong. */
export interface TimeDoubt {
  /**
   * `future`: by this machine's clock. `ahead`: it was saved earlier than it says. `behind`: it was saved
   * later.
   */
  readonly kind: 'future' | 'ahead' | 'behind';
  /** When it was saved, as far as known, in milliseconds since 1970. */
  readonly knownMs: number;
  /** For display. */
  readonly reason: string;
}

export interface SnapshotOrder {
  /** Oldest first, by the evidence. */
  readonly snapshots: readonly Snapshot[];
  /** By the snapshot's id. */
  readonly doubts: ReadonlyMap<string, TimeDoubt>;
}

/** Tolerated difference between the clocks of machines. */
const toleranceMs = 10 * 60_000;

/** More of them are not due to a clock, and would take long. */
const contradictionsAtMost = 1000;

/**
 * Puts snapshots into the order in which they were saved, and reports those whose time cannot be right; pure.
 * A time is in doubt when it lies in the future, when the store had the snapshot earlier, and when it
 * contradicts the order that parents and this machine's own record of its backups prove: then the fewest
 * snapshots that explain the contradiction are in doubt.
 */
export function orderSnapshots(snapshots: readonly Snapshot[], evidence: OrderEvidence): SnapshotOrder {
  const timeOf = new Map(snapshots.map((one) => [one, Date.parse(one.time)]));
  const chain = chainOf(snapshots, evidence.saved ?? []);
  const storedOf = believedStore(snapshots, evidence);
  const doubted = new Map<Snapshot, Pick<TimeDoubt, 'kind' | 'reason'>>();
  for (const one of snapshots) {
    const stored = storedOf(one);
    if (ms(timeOf, one) > evidence.nowMs + toleranceMs)
      doubted.set(one, { kind: 'future', reason: 'its time lies in the future' });
    else if (stored !== undefined && ms(timeOf, one) > stored + toleranceMs)
      doubted.set(one, {
        kind: 'ahead',
        reason: `its time cannot be right: the store has had it since ${localTime(stored)}`,
      });
  }
  doubtContradictions(snapshots, { chain, timeOf, doubted });
  const depths = depthsOf(snapshots, chain);
  const known = knownTimes(snapshots, { chain, timeOf, doubted, storedOf });
  // None comes before the one that it was saved after, even within the tolerated difference of clocks.
  for (const one of snapshots.toSorted((a, b) => ms(depths, a) - ms(depths, b))) {
    const previous = chain.before.get(one);
    if (previous !== undefined) known.set(one, Math.max(ms(known, one), ms(known, previous)));
  }
  return {
    snapshots: snapshots.toSorted(
      (a, b) =>
        ms(known, a) - ms(known, b) ||
        ms(depths, a) - ms(depths, b) ||
        ms(timeOf, a) - ms(timeOf, b) ||
        // Those of one moment are listed by their volumes' names.
        compareTexts(a.name, b.name) ||
        compareTexts(a.id, b.id),
    ),
    doubts: new Map([...doubted].map(([one, doubt]) => [one.id, { ...doubt, knownMs: ms(known, one) }])),
  };
}

function compareTexts(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function ms(times: ReadonlyMap<Snapshot, number>, snapshot: Snapshot): number {
  return times.get(snapshot) ?? 0;
}

/** Which snapshot of the same volume was saved before and after which. */
interface Chain {
  readonly before: ReadonlyMap<Snapshot, Snapshot>;
  readonly after: ReadonlyMap<Snapshot, readonly Snapshot[]>;
}

/** This machine's own record goes before parents: a parent need not be the immediate predecessor. */
function chainOf(snapshots: readonly Snapshot[], saved: readonly string[]): Chain {
  const byId = new Map<string, Snapshot>();
  for (const one of snapshots) if (one.original !== undefined) byId.set(one.original, one);
  for (const one of snapshots) byId.set(one.id, one);
  const before = new Map<Snapshot, Snapshot>();
  const last = new Map<string, Snapshot>();
  for (const id of saved) {
    const one = byId.get(id);
    if (one?.volume === undefined) continue;
    const previous = last.get(one.volume.identity);
    if (previous !== undefined && previous !== one && !before.has(one)) before.set(one, previous);
    last.set(one.volume.identity, one);
  }
  for (const one of snapshots) {
    const parent = one.parent === undefined ? undefined : byId.get(one.parent);
    if (parent !== undefined && parent !== one && !before.has(one)) before.set(one, parent);
  }
  const after = new Map<Snapshot, Snapshot[]>();
  for (const [one, previous] of before) after.set(previous, [...(after.get(previous) ?? []), one]);
  return { before, after };
}

/** A store whose clock contradicts most of its snapshots is itself wrong. */
function believedStore(
  snapshots: readonly Snapshot[],
  { storedMs, nowMs }: OrderEvidence,
): (snapshot: Snapshot) => number | undefined {
  const stored = snapshots.filter(({ id, time }) => storedMs?.has(id) && Date.parse(time) <= nowMs);
  const against = stored.filter(({ id, time }) => Date.parse(time) > (storedMs?.get(id) ?? 0) + toleranceMs);
  const isBelieved = against.length * 2 <= stored.length;
  return ({ id }) => (isBelieved ? storedMs?.get(id) : undefined);
}

interface Judging {
  readonly chain: Chain;
  readonly timeOf: ReadonlyMap<Snapshot, number>;
  readonly doubted: Map<Snapshot, Pick<TimeDoubt, 'kind' | 'reason'>>;
}

/**
 * When a snapshot has a later time than one that was saved after it, the smaller group of snapshots is in
 * doubt.
 */
function doubtContradictions(snapshots: readonly Snapshot[], { chain, timeOf, doubted }: Judging): void {
  const trusted = (one: Snapshot | undefined): Snapshot | undefined => {
    let found = one;
    const seen = new Set<Snapshot>();
    while (found !== undefined && doubted.has(found) && !seen.has(found)) {
      seen.add(found);
      found = chain.before.get(found);
    }
    return found === undefined || doubted.has(found) ? undefined : found;
  };
  let contradictions = 0;
  const inTurn = snapshots.toSorted((a, b) => ms(timeOf, a) - ms(timeOf, b));
  for (const later of inTurn) {
    const earlier = trusted(chain.before.get(later));
    if (earlier === undefined || doubted.has(later) || !isAfter(timeOf, earlier, later)) continue;
    if (++contradictions > contradictionsAtMost) return;
    const ahead: Snapshot[] = [];
    const seen = new Set<Snapshot>();
    for (let at = trusted(earlier); at !== undefined && !seen.has(at) && isAfter(timeOf, at, later);) {
      seen.add(at);
      ahead.push(at);
      at = trusted(chain.before.get(at));
    }
    const behind = descendants(earlier, chain).filter(
      (one) => !doubted.has(one) && isAfter(timeOf, earlier, one),
    );
    if (ahead.length <= behind.length)
      for (const one of ahead)
        doubted.set(one, {
          kind: 'ahead',
          reason: `its time cannot be right: ${later.id.slice(0, 8)} of ${localTime(later.time)} was saved after it`,
        });
    else
      for (const one of behind)
        doubted.set(one, {
          kind: 'behind',
          reason: `its time cannot be right: ${earlier.id.slice(0, 8)} of ${localTime(earlier.time)} was saved before it`,
        });
  }
}

/** By more than the tolerated difference of clocks. */
function isAfter(timeOf: ReadonlyMap<Snapshot, number>, one: Snapshot, other: Snapshot): boolean {
  return ms(timeOf, one) > ms(timeOf, other) + toleranceMs;
}

function descendants(of: Snapshot, { after }: Chain): Snapshot[] {
  const found = new Set<Snapshot>();
  const open = [of];
  for (let one = open.pop(); one !== undefined; one = open.pop())
    for (const next of after.get(one) ?? [])
      if (next !== of && !found.has(next)) {
        found.add(next);
        open.push(next);
      }
  return [...found];
}

interface Knowing extends Judging {
  readonly storedOf: (snapshot: Snapshot) => number | undefined;
}

/**
 * A snapshot in doubt was saved when the store got it, else right after its predecessor, else right before
 * its successor.
 */
function knownTimes(
  snapshots: readonly Snapshot[],
  { chain, timeOf, doubted, storedOf }: Knowing,
): Map<Snapshot, number> {
  const known = new Map(
    snapshots.flatMap((one) => (doubted.has(one) ? [] : [[one, ms(timeOf, one)] as const])),
  );
  const trustedBefore = (one: Snapshot): number | undefined => {
    const seen = new Set<Snapshot>();
    for (let at = chain.before.get(one); at !== undefined && !seen.has(at); at = chain.before.get(at)) {
      if (!doubted.has(at)) return ms(timeOf, at);
      seen.add(at);
    }
    return undefined;
  };
  for (const one of doubted.keys()) {
    const next = descendants(one, chain).filter((other) => !doubted.has(other));
    const nextMs = next.length === 0 ? undefined : Math.min(...next.map((other) => ms(timeOf, other)));
    const storedMs = storedOf(one);
    const isStoredBefore = storedMs !== undefined && storedMs <= ms(timeOf, one);
    known.set(
      one,
      (isStoredBefore ? storedMs : undefined) ?? trustedBefore(one) ?? nextMs ?? ms(timeOf, one),
    );
  }
  return known;
}

/** How many known snapshots precede each. */
function depthsOf(snapshots: readonly Snapshot[], { before }: Chain): Map<Snapshot, number> {
  const depths = new Map<Snapshot, number>();
  for (const one of snapshots) {
    const path: Snapshot[] = [];
    const seen = new Set<Snapshot>();
    let at: Snapshot | undefined = one;
    while (at !== undefined && !depths.has(at) && !seen.has(at)) {
      seen.add(at);
      path.push(at);
      at = before.get(at);
    }
    let depth = at === undefined ? 0 : (depths.get(at) ?? 0) + 1;
    for (const each of path.toReversed()) depths.set(each, depth++);
  }
  return depths;
}
