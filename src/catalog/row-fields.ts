import type { SQLOutputValue } from 'node:sqlite';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

export type Row = Readonly<Record<string, SQLOutputValue>>;

/** A text column. Data on disk is checked, whatever the schema promises. */
export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw damaged(column);
  return value;
}

export function optionalText(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : text(row, column);
}

export function number(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number') throw damaged(column);
  return value;
}

export function flag(row: Row, column: string): boolean {
  const value = row[column];
  if (value !== 0 && value !== 1) throw damaged(column);
  return value === 1;
}

export function oneOf<T extends string>(row: Row, column: string, words: readonly T[]): T {
  const value = text(row, column);
  const word = words.find((candidate) => candidate === value);
  if (word === undefined) throw damaged(column);
  return word;
}

/** A JSON object of strings. */
export function textRecord(row: Row, column: string): Record<string, string> {
  if (row[column] === '{}') return {};
  const value = parseJson(row, column);
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw damaged(column);
  const entries = Object.entries(value);
  if (!entries.every((entry): entry is [string, string] => typeof entry[1] === 'string'))
    throw damaged(column);
  return Object.fromEntries(entries);
}

function parseJson(row: Row, column: string): unknown {
  try {
    return JSON.parse(text(row, column)) as unknown;
  } catch (error) {
    if (error instanceof SyntaxError) throw damaged(column);
    throw error;
  }
}

function damaged(column: string): AppError {
  return new AppError('integrity', `The catalog holds something unreadable in ${quote(column)}`, {
    hint: 'It was written by something else than Holdfast. Move it aside, and Holdfast makes a new one from its copy.',
  });
}

export function optionalNumber(row: Row, column: string): number | undefined {
  return row[column] === null ? undefined : number(row, column);
}
