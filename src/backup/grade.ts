import type { Grade } from '../model/snapshot.ts';
import { type Consumer, isActive } from '../model/volume.ts';
import type { KilledApp } from '../quiesce/index.ts';

export interface GradeReason {
  readonly grade: Grade;
  /** Why, for people. */
  readonly reason: string;
}

/** How consistent a snapshot is that was read from the live data, from who could write before and after; pure. */
export function gradeOf(
  before: readonly Consumer[],
  after: readonly Consumer[],
  seen: Pick<StillFacts, 'strangers' | 'traces'> = { strangers: [] },
): GradeReason {
  const writers = [...before, ...after].filter((consumer) => isActive(consumer) && !consumer.readOnly);
  const names = [...new Set(writers.map((consumer) => consumer.name))];
  if (names.length === 0) return gradeStill({ ...nothingStill, ...seen });
  return { grade: 'torn', reason: `${someNames(names)} could write while it was read` };
}

const nothingStill = { how: undefined, apps: [], writers: [], disturbed: [] } as const;

export interface StillFacts {
  readonly how: 'pause' | 'stop' | undefined;
  /** Who was made still. */
  readonly apps: readonly { readonly name: string; readonly stillMs: number }[];
  /** Containers that could write though others were still, or all the time. */
  readonly writers: readonly string[];
  /** Those that were made still, and that somebody else let run meanwhile. */
  readonly disturbed: readonly string[];
  /** Processes of the machine, for people. */
  readonly strangers: readonly string[];
  /** What an application's own means have made of it. */
  readonly made?: { readonly grade: 'app' | 'crash'; readonly evidence: string } | undefined;
  /** Those that were stopped by force. */
  readonly killed?: readonly KilledApp[] | undefined;
  /** Those that their users had paused all the time. */
  readonly paused?: readonly string[] | undefined;
  /** What shows by the data itself that it was written to, for people: `"x" changed while it was read`. */
  readonly traces?: readonly string[] | undefined;
}

/** The grade of a snapshot from what is known of all who could write while it was read; pure. */
export function gradeStill(facts: StillFacts): GradeReason {
  const { how, apps, writers, disturbed, strangers, traces = [], made, killed = [], paused = [] } = facts;
  const loose = [...new Set([...writers, ...disturbed])];
  if (loose.length > 0) return { grade: 'torn', reason: `${someNames(loose)} could write while it was read` };
  if (strangers.length > 0)
    return { grade: 'torn', reason: `${strangers.slice(0, 3).join(', ')} could write while it was read` };
  const [trace] = traces;
  if (trace !== undefined) return { grade: 'torn', reason: `something wrote to it: ${trace}` };
  const names = someNames(apps.map(({ name }) => name));
  const ms = Math.round(Math.max(0, ...apps.map(({ stillMs }) => stillMs)));
  if (how === 'stop' && apps.length > 0) {
    const [first] = killed;
    if (first !== undefined) return { grade: 'crash', reason: describeKilled(first) };
    if (paused.length > 0) return { grade: 'crash', reason: `${someNames(paused)} was paused` };
    return { grade: 'cold', reason: `${names} stopped for ${ms} ms` };
  }
  const still = apps.length > 0 ? [`${names} still for ${ms} ms`] : [];
  if (made?.grade === 'app') return { grade: 'app', reason: [made.evidence, ...still].join(', ') };
  const [why] = [...still, ...(paused.length > 0 ? [`${someNames(paused)} was paused`] : [])];
  return why === undefined
    ? { grade: 'cold', reason: 'no container could write to it' }
    : { grade: 'crash', reason: why };
}

function describeKilled({ name, afterMs }: KilledApp): string {
  return afterMs === undefined
    ? `it is not known whether "${name}" stopped by itself`
    : `"${name}" did not stop by itself and was killed after ${(afterMs / 1000).toFixed(1)} s`;
}

function someNames(names: readonly string[]): string {
  const shown = names
    .slice(0, 3)
    .map((name) => `"${name}"`)
    .join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
