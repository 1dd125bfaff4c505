import { AppError } from './errors.ts';
import { quote } from './quote.ts';

const binaryUnits: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

const decimalUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'] as const;

/**
 * Bytes of a size in Docker's syntax: `10g`, `100m`, `1.5GiB`, `512 kB`, `4096`. Units are powers of 1024 in
 * any spelling and case.
 */
export function parseSize(text: string): number {
  const [, digits, unit] = /^(\d+\.?\d*|\.\d+) ?([a-z]*)$/i.exec(text) ?? [];
  if (digits === undefined || unit === undefined)
    throw new AppError('usage', `invalid size: '${text}'`, sizeHint);
  if (!/^(?:b|[kmgtp](?:i?b)?)?$/i.test(unit))
    throw new AppError('usage', `invalid suffix: '${unit.toLowerCase()}'`, sizeHint);
  const bytes = Math.trunc(Number(digits) * (binaryUnits[unit.slice(0, 1).toLowerCase()] ?? Number.NaN));
  if (!Number.isSafeInteger(bytes)) throw new AppError('usage', `Size ${quote(text)} is too large`);
  return bytes;
}

const sizeHint = { hint: 'Write sizes like "100m", "1.5g" or "4096".' };

/** Bytes in powers of 1000, as `docker` shows them: `999 B`, `1.2 GB`. */
export function formatSize(bytes: number): string {
  if (bytes < 0) return `-${formatSize(-bytes)}`;
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  let value = bytes;
  let unit = 0;
  // 999.95 would round to 1000.0, so it already uses the next unit.
  while (value >= 999.95 && unit < decimalUnits.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(1)} ${decimalUnits[unit]}`;
}

const wholeUnits = [
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
] as const;

/** As people write what they ask for, where it is whole: `256 MiB`, `1 GiB`; else as `formatSize()`. */
export function formatWholeSize(bytes: number): string {
  const [unit, size] = wholeUnits.find(([, each]) => bytes > 0 && bytes % each === 0) ?? [];
  return unit === undefined || size === undefined ? formatSize(bytes) : `${bytes / size} ${unit}`;
}

/** `1 table`, `2,000 rows`. */
export function amount(count: number, singular: string, plural = `${singular}s`): string {
  return `${grouped(count)} ${count === 1 ? singular : plural}`;
}

/**
 * `2,000`, for a whole number. Not by `toLocaleString()`, whose first call takes ten milliseconds to load its
 * data.
 */
export function grouped(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ',');
}
