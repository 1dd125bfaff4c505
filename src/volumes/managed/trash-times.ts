import type { Catalog } from '../../catalog/catalog.ts';
import { isKeptShorter, type KeptSince, keptSince } from '../../lib/kept-since.ts';

/** When a volume went into the trash, and when it goes from there. */
export interface TrashTimes {
  /** RFC 3339, by the clock on the wall. */
  readonly removedAt: string;
  readonly expiresAt: string;
  /** Earlier versions wrote none. */
  readonly since?: KeptSince | undefined;
  /** True when the clock was behind times that the catalog had seen: what it said of the removal is too early. */
  readonly isClockSlow?: boolean | undefined;
}

type Seen = Pick<Catalog, 'listRuns' | 'policies'>;

export function trashTimes(catalog: Seen, createdAt: string, keepMs: number): TrashTimes {
  const now = Date.now();
  return {
    removedAt: new Date(now).toISOString(),
    expiresAt: new Date(now + keepMs).toISOString(),
    since: keptSince(),
    ...(now < latestSeen(catalog, createdAt) && { isClockSlow: true }),
  };
}

/** `wait` for one whose time begins when it is found in a later run of the machine. */
export function changeOf(times: TrashTimes): 'keep' | 'expire' | 'wait' {
  const { removedAt, expiresAt, since, isClockSlow } = times;
  const keepMs = Date.parse(expiresAt) - Date.parse(removedAt);
  if (isKeptShorter(since, keepMs) || expiresAt > new Date().toISOString()) return 'keep';
  // In this run of the machine, its time has passed by the other clock too.
  return isClockSlow === true && since?.boot !== keptSince().boot ? 'wait' : 'expire';
}

/** The latest moment that the catalog knows to have been. Of some runs: the last ones may be of the slow clock too. */
function latestSeen(catalog: Seen, createdAt: string): number {
  const limit = 50;
  const moments = [
    createdAt,
    ...catalog.listRuns({ limit }).map(({ finishedAt }) => finishedAt),
    ...catalog.policies.listRuns({ limit }).map(({ startedAt }) => startedAt),
  ];
  return Math.max(0, ...moments.map((moment) => Date.parse(moment)).filter((time) => !Number.isNaN(time)));
}
