import { formatDuration, parseDuration } from './duration.ts';
import { AppError } from './errors.ts';
import { quote } from './quote.ts';
import type { Grade } from './snapshot.ts';

/** The ways to keep data in use still. */
export const consistencyModes = ['auto', 'freeze', 'two-pass', 'pause', 'stop', 'live'] as const;
export type ConsistencyMode = (typeof consistencyModes)[number];

export function parseConsistency(text: string): ConsistencyMode {
  const request = consistencyModes.find((known) => known === text);
  if (request !== undefined) return request;
  throw new AppError('usage', `There is no consistency ${quote(text)}`, {
    hint: `It is one of ${consistencyModes.join(', ')}.`,
  });
}

/** Each try stops the application for its users once more. */
export const mostStillTries = 10;

/** How long containers may be still for reading, in milliseconds; Infinity for `unlimited`. */
export function parseMaxStill(text: string): number {
  if (text === 'unlimited') return Infinity;
  const durationMs = parseDuration(text);
  if (durationMs > 0) return durationMs;
  throw new AppError('usage', `Nothing can be read in ${quote(text)}`, {
    hint: 'Give a time such as "500ms" or "5s", or have it saved while it is in use: "--consistency live".',
  });
}

/** The limit in words. */
export function describeMaxStill(maxStillMs: number): string {
  return Number.isFinite(maxStillMs) ? formatDuration(maxStillMs) : 'unlimited';
}

export function parseStillTries(text: string): number {
  const tries = Number(text);
  if (/^\d+$/.test(text) && tries >= 1 && tries <= mostStillTries) return tries;
  throw new AppError('usage', `${quote(text)} is no number of tries: it is 1 to ${mostStillTries}`);
}

/** In words: "crash" alone reads as if something had crashed. */
export function gradeInWords(grade: Grade): string {
  return grade === 'crash' ? 'crash-consistent' : grade;
}
