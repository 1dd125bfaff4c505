import { AppError } from '../model/errors.ts';

/** A mapping of a Compose file, as a YAML or JSON parser returns it. */
export type Section = Readonly<Record<string, unknown>>;

export function sectionOf(value: unknown, name: string): Section {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as Section;
  throw invalidField(name, 'must be a mapping');
}

/** The mapping at `key`; an absent one is empty. */
export function sectionAt(entry: Section, key: string): Section {
  return sectionOf(valueOf(entry, key) ?? {}, key);
}

export function refuseUnknown(entry: Section, known: readonly string[]): void {
  const unknown = Object.keys(entry).find((key) => !known.includes(key) && !key.startsWith('x-'));
  if (unknown !== undefined) throw new AppError('usage', `Additional property ${unknown} is not allowed`);
}

export function valueOf(entry: Section, key: string): unknown {
  return Object.hasOwn(entry, key) ? (entry[key] ?? undefined) : undefined;
}

export function textOf(entry: Section, key: string): string | undefined {
  const value = valueOf(entry, key);
  if (value === undefined || typeof value === 'string') return value;
  throw invalidField(key, 'must be a string');
}

export function flagOf(entry: Section, key: string): boolean | undefined {
  const value = valueOf(entry, key);
  if (value === undefined || typeof value === 'boolean') return value;
  // Compose accepts the words of YAML 1.1.
  const word = typeof value === 'string' ? value.toLowerCase() : '';
  if (['true', 'y', 'yes', 'on', '1'].includes(word)) return true;
  if (['false', 'n', 'no', 'off', '0'].includes(word)) return false;
  throw invalidField(key, 'must be a boolean');
}

export interface WholeNumber {
  readonly key: string;
  /** Reads a value that was given as text. */
  readonly read: (text: string) => number;
}

export function wholeNumberOf(entry: Section, { key, read }: WholeNumber): number | undefined {
  const value = valueOf(entry, key);
  if (value === undefined) return undefined;
  if (typeof value === 'string') return read(value);
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalidField(key, 'must be a whole number of 0 or more');
}

export function labelsOf(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  if (Array.isArray(value)) return Object.fromEntries(value.map(readPair));
  return Object.fromEntries(
    Object.entries(sectionOf(value, 'labels')).map(([key, label]) => [key, scalar(key, label)]),
  );
}

function readPair(pair: unknown): [string, string] {
  if (typeof pair !== 'string') throw invalidField('labels', 'must be strings like "key=value"');
  const equals = pair.indexOf('=');
  return equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
}

function scalar(key: string, value: unknown): string {
  if (value === null) return '';
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  throw invalidField(`labels.${key}`, 'must be a string, number, boolean or null');
}

export function invalidField(key: string, reason: string): AppError {
  return new AppError('usage', `${key} ${reason}`);
}
