import type { Grade } from '../model/snapshot.ts';
import { type Consumer, isActive } from '../model/volume.ts';

export interface GradeReason {
  readonly grade: Grade;
  /** Why, for people. */
  readonly reason: string;
}

/** How consistent a snapshot is that was read from the live data, from who could write before and after; pure. */
export function gradeOf(before: readonly Consumer[], after: readonly Consumer[]): GradeReason {
  const writers = [...before, ...after].filter((consumer) => isActive(consumer) && !consumer.readOnly);
  const names = [...new Set(writers.map((consumer) => consumer.name))];
  if (names.length === 0) return { grade: 'cold', reason: 'no container could write to it' };
  return { grade: 'torn', reason: `${someNames(names)} could write while it was read` };
}

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
}

/** The grade of a snapshot from what is known of all who could write while it was read; pure. */
export function gradeStill({ how, apps, writers, disturbed, strangers, made }: StillFacts): GradeReason {
  const loose = [...new Set([...writers, ...disturbed])];
  if (loose.length > 0) return { grade: 'torn', reason: `${someNames(loose)} could write while it was read` };
  if (strangers.length > 0)
    return { grade: 'torn', reason: `${strangers.slice(0, 3).join(', ')} could write while it was read` };
  if (how === undefined || apps.length === 0)
    return made?.grade === 'app'
      ? { grade: 'app', reason: made.evidence }
      : { grade: 'cold', reason: 'no container could write to it' };
  const names = someNames(apps.map(({ name }) => name));
  const ms = Math.round(Math.max(...apps.map(({ stillMs }) => stillMs)));
  if (how === 'stop') return { grade: 'cold', reason: `${names} stopped for ${ms} ms` };
  const reason = `${names} still for ${ms} ms`;
  return made?.grade === 'app'
    ? { grade: 'app', reason: `${made.evidence}, ${reason}` }
    : { grade: 'crash', reason };
}

function someNames(names: readonly string[]): string {
  const shown = names
    .slice(0, 3)
    .map((name) => `"${name}"`)
    .join(', ');
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}
