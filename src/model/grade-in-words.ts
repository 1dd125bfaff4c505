import type { Grade } from './snapshot.ts';

/** For people: "crash" reads as if something had crashed. */
export function gradeInWords(grade: Grade): string {
  return grade === 'crash' ? 'crash-consistent' : grade;
}
