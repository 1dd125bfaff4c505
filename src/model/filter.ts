import { AppError } from './errors.ts';
import type { Volume } from './volume.ts';

/**
 * The conditions of `--filter`. Several values of one key are alternatives, except labels, which must all
 * match.
 */
export interface VolumeFilter {
  readonly names: readonly string[];
  readonly drivers: readonly string[];
  readonly stacks: readonly string[];
  readonly labels: readonly LabelFilter[];
  /** Excludes a volume that has all of these. */
  readonly labelsNot: readonly LabelFilter[];
  readonly dangling: boolean | undefined;
  /** Includes named volumes; for `prune` only. */
  readonly all: boolean;
}

export interface LabelFilter {
  readonly key: string;
  /** Undefined: any value. */
  readonly value: string | undefined;
}

export type FilterPurpose = 'list' | 'prune';

const keysOf: Readonly<Record<FilterPurpose, readonly string[]>> = {
  list: ['name', 'driver', 'label', 'label!', 'dangling', 'stack'],
  prune: ['name', 'driver', 'label', 'label!', 'all', 'stack'],
};

/** Parses `key=value` texts as `docker volume ls --filter` and `docker volume prune --filter` do. */
export function parseVolumeFilter(texts: readonly string[], purpose: FilterPurpose = 'list'): VolumeFilter {
  const values = new Map<string, Set<string>>();
  for (const text of texts) {
    const { key, value } = splitFilter(text);
    if (!keysOf[purpose].includes(key))
      throw new AppError('usage', `invalid filter '${key}'`, hintFor(purpose));
    values.set(key, (values.get(key) ?? new Set()).add(value));
  }
  const of = (key: string): string[] => [...(values.get(key) ?? [])];
  return {
    names: of('name'),
    drivers: of('driver'),
    stacks: of('stack'),
    labels: of('label').map(readLabel),
    labelsNot: of('label!').map(readLabel),
    dangling: readFlag('dangling', of('dangling')),
    all: readFlag('all', of('all')) ?? false,
  };
}

/** True when `volume` matches. An empty filter matches everything. `all` is left to `prune`. */
export function matchesFilter(volume: Volume, filter: VolumeFilter): boolean {
  return (
    (filter.names.length === 0 || filter.names.some((name) => matchesName(volume.name, name))) &&
    (filter.drivers.length === 0 || filter.drivers.includes(volume.driver)) &&
    (filter.stacks.length === 0 || (volume.stack !== undefined && filter.stacks.includes(volume.stack))) &&
    filter.labels.every((label) => hasLabel(volume, label)) &&
    (filter.labelsNot.length === 0 || !filter.labelsNot.every((label) => hasLabel(volume, label))) &&
    (filter.dangling === undefined || filter.dangling === (volume.consumers.length === 0))
  );
}

function splitFilter(text: string): { key: string; value: string } {
  const equals = text.indexOf('=');
  if (equals === -1) throw new AppError('usage', 'bad format of filter (expected name=value)');
  return { key: text.slice(0, equals).trim().toLowerCase(), value: text.slice(equals + 1).trim() };
}

function hintFor(purpose: FilterPurpose): { hint: string } {
  return { hint: `Filters are ${keysOf[purpose].map((key) => `"${key}"`).join(', ')}.` };
}

function readLabel(text: string): LabelFilter {
  const equals = text.indexOf('=');
  return equals === -1
    ? { key: text, value: undefined }
    : { key: text.slice(0, equals), value: text.slice(equals + 1) };
}

function readFlag(key: string, values: readonly string[]): boolean | undefined {
  if (values.length === 0) return undefined;
  if (values.length > 1 && key === 'all') {
    throw new AppError('usage', `invalid filter 'all=[${values.join(' ')}]': only one value is expected`);
  }
  const read = values.map((value) =>
    value === '1' || value === 'true' ? true : value === '0' || value === 'false' ? false : undefined,
  );
  const [flag] = read;
  if (flag === undefined || read.some((other) => other !== flag)) {
    throw new AppError('usage', `invalid filter '${key}=[${values.join(' ')}]'`);
  }
  return flag;
}

/** The whole name, or a regular expression found in it; an invalid one matches nothing, as in Docker. */
function matchesName(name: string, pattern: string): boolean {
  if (name === pattern) return true;
  try {
    // Go writes flags in front of the expression, JavaScript around it.
    return new RegExp(pattern.replace(/^\(\?([ims]+)\)(.*)$/s, '(?$1:$2)')).test(name);
  } catch {
    return false;
  }
}

function hasLabel(volume: Volume, { key, value }: LabelFilter): boolean {
  if (!Object.hasOwn(volume.labels, key)) return false;
  return value === undefined || volume.labels[key] === value;
}
