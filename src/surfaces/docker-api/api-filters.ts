import type { ManagedVolume } from '../../app/app.ts';
import { AppError } from '../../model/errors.ts';
import { matchesFilter, parseVolumeFilter, type VolumeFilter } from '../../model/filter.ts';
import { ApiError } from './api-error.ts';

export type RawFilters = ReadonlyMap<string, readonly string[]>;

/** `{"key":["value"]}` or, as old clients write it, `{"key":{"value":true}}`. */
export function parseFilters(text: string | null): RawFilters {
  if (text === null || text === '') return new Map();
  const value = parsed(text);
  if (!isObject(value)) throw invalid();
  return new Map(Object.entries(value).map(([key, values]) => [key, valuesOf(values)]));
}

const listKeys: readonly string[] = ['dangling', 'name', 'driver', 'label'];
const pruneKeys: readonly string[] = ['label', 'label!', 'all'];

export function listFilter(text: string | null): VolumeFilter {
  try {
    return volumeFilter(parseFilters(text), listKeys);
  } catch (error) {
    if (error instanceof ApiError && error.message === invalidFilter)
      throw new ApiError(400, `error reading volume filters: ${error.message}`);
    throw error;
  }
}

export function pruneFilter(text: string | null, options: { readonly takesAll: boolean }): VolumeFilter {
  const filters = parseFilters(text);
  checkFlag('all', filters);
  if (options.takesAll) return volumeFilter(filters, pruneKeys);
  // Older versions of the API know no "all", and take named volumes too.
  return { ...volumeFilter(filters, pruneKeys.slice(0, 2)), all: true };
}

function checkFlag(key: string, filters: RawFilters): void {
  const [value, ...others] = filters.get(key) ?? [];
  if (value === undefined || others.length > 0 || parseFlag(value) !== undefined) return;
  const reason = `strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`;
  throw new ApiError(400, `invalid filter '${key}': ${reason}`);
}

/** Like Go's `strconv.ParseBool`; undefined for any other text. */
export function parseFlag(text: string): boolean | undefined {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  return /^(?:0|f|F|FALSE|false|False)$/.test(text) ? false : undefined;
}

/** True when the volume passes; a mounted volume is in use. */
export function passes(volume: ManagedVolume, { dangling, ...filter }: VolumeFilter): boolean {
  if (dangling !== undefined && dangling !== (referencesOf(volume).length === 0)) return false;
  return matchesFilter(volume, { ...filter, dangling: undefined });
}

/** Its references: containers, and other holders that have it mounted. */
export function referencesOf(volume: ManagedVolume): string[] {
  return [...new Set([...volume.consumers.map(({ id }) => id), ...volume.mountIds])];
}

const invalidFilter = 'invalid filter';

function volumeFilter(filters: RawFilters, keys: readonly string[]): VolumeFilter {
  const texts: string[] = [];
  for (const [key, values] of filters) {
    if (!keys.includes(key)) throw new ApiError(400, `invalid filter '${key}'`);
    texts.push(...values.map((value) => `${key}=${key === 'all' ? plainFlag(value) : value}`));
  }
  try {
    return { ...parseVolumeFilter(texts, keys === listKeys ? 'list' : 'prune') };
  } catch (error) {
    if (error instanceof AppError) throw new ApiError(400, error.message);
    throw error;
  }
}

function plainFlag(value: string): string {
  return String(/^(?:1|t)/i.test(value));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid();
  }
}

function valuesOf(value: unknown): string[] {
  if (Array.isArray(value) && value.every((entry) => typeof entry === 'string')) return value;
  if (isObject(value) && Object.values(value).every((flag) => typeof flag === 'boolean'))
    return Object.keys(value);
  throw invalid();
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(): ApiError {
  return new ApiError(400, invalidFilter);
}
