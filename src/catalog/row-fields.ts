import type { SQLOutputValue } from 'node:sqlite';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

export type Row = Readonly<Record<string, SQLOutputValue>>;

/** The row as an array, by the places of columns: as objects, a thousand rows take three times as long to read. */
export type RowArray = readonly (SQLOutputValue | undefined)[];

/** A text column. Data on disk is checked, whatever the schema promises. */
export function text(row: Row, column: string): string {
  return textOf(row[column], column);
}

/** Throws for a value of another type, as all readers of columns here do: the catalog is damaged then. */
export function textOf(value: SQLOutputValue | undefined, column: string): string {
  if (typeof value !== 'string') throw damaged(column);
  return value;
}

export function optionalText(row: Row, column: string): string | undefined {
  return optionalTextOf(row[column], column);
}

export function optionalTextOf(value: SQLOutputValue | undefined, column: string): string | undefined {
  return value === null ? undefined : textOf(value, column);
}

export function number(row: Row, column: string): number {
  return numberOf(row[column], column);
}

export function numberOf(value: SQLOutputValue | undefined, column: string): number {
  if (typeof value !== 'number') throw damaged(column);
  return value;
}

export function flag(row: Row, column: string): boolean {
  return flagOf(row[column], column);
}

export function flagOf(value: SQLOutputValue | undefined, column: string): boolean {
  if (value !== 0 && value !== 1) throw damaged(column);
  return value === 1;
}

export function oneOf<T extends string>(row: Row, column: string, words: readonly T[]): T {
  return wordOf(row[column], column, words);
}

export function wordOf<T extends string>(
  value: SQLOutputValue | undefined,
  column: string,
  words: readonly T[],
): T {
  for (const word of words) if (word === value) return word;
  throw damaged(column);
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
  return optionalNumberOf(row[column], column);
}

export function optionalNumberOf(value: SQLOutputValue | undefined, column: string): number | undefined {
  return value === null ? undefined : numberOf(value, column);
}
