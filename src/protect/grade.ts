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
  const shown = names
    .slice(0, 3)
    .map((name) => `"${name}"`)
    .join(', ');
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return { grade: 'torn', reason: `${shown}${more} could write while it was read` };
}
