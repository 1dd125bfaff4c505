import type { Position } from '../model/finding.ts';
import type { ComposePath } from './compose-project.ts';

/**
 * A value of a Compose file with the place where it was written. Never changed once made: merging, extending
 * and filling in variables make new ones that share what stays.
 */
export type Placed = PlacedMap | PlacedList | PlacedScalar;

export interface PlacedMap {
  readonly kind: 'map';
  readonly at: Position;
  readonly entries: ReadonlyMap<string, PlacedEntry>;
  /** What stood there in the short syntax. */
  readonly written?: PlacedScalar;
}

export interface PlacedEntry {
  readonly keyAt: Position;
  readonly value: Placed;
}

export interface PlacedList {
  readonly kind: 'list';
  readonly at: Position;
  readonly items: readonly Placed[];
}

export interface PlacedScalar {
  readonly kind: 'scalar';
  readonly at: Position;
  readonly value: string | number | boolean | null;
  /** How Compose writes a fraction into a text. */
  readonly text?: string;
}

export function scalarAt(value: PlacedScalar['value'], at: Position): PlacedScalar {
  return { kind: 'scalar', at, value };
}

export function mapAt(at: Position, entries: Iterable<readonly [string, PlacedEntry]>): PlacedMap {
  return { kind: 'map', at, entries: new Map(entries) };
}

export function listAt(at: Position, items: readonly Placed[]): PlacedList {
  return { kind: 'list', at, items };
}

/** Plain data of which all parts have one place. */
export function placedAt(value: unknown, at: Position): Placed {
  if (Array.isArray(value))
    return listAt(
      at,
      value.map((item) => placedAt(item, at)),
    );
  if (typeof value === 'object' && value !== null)
    return mapAt(
      at,
      Object.entries(value).map(([key, inner]) => [key, { keyAt: at, value: placedAt(inner, at) }]),
    );
  return scalarAt(value as PlacedScalar['value'], at);
}

/** The plain data of a value. */
export function plainOf(placed: Placed): unknown {
  if (placed.kind === 'scalar') return placed.value;
  if (placed.kind === 'list') return placed.items.map(plainOf);
  // A key may be `__proto__`.
  return Object.fromEntries([...placed.entries].map(([key, { value }]) => [key, plainOf(value)]));
}

export function fieldOf(placed: Placed | undefined, key: string): Placed | undefined {
  return placed?.kind === 'map' ? placed.entries.get(key)?.value : undefined;
}

/** The value at `path` from `top`. */
export function placedIn(top: Placed, path: ComposePath): Placed | undefined {
  let here: Placed | undefined = top;
  for (const step of path) {
    if (here?.kind === 'list' && typeof step === 'number') here = here.items[step];
    else here = fieldOf(here, String(step));
  }
  return here;
}

/** Sets, replaces or (with undefined) removes a field; the key of a replaced one keeps its place. */
export function withField(map: PlacedMap, key: string, value: Placed | undefined): PlacedMap {
  const entries = new Map(map.entries);
  if (value === undefined) entries.delete(key);
  else entries.set(key, { keyAt: entries.get(key)?.keyAt ?? value.at, value });
  return { ...map, entries };
}

/** Changes each value of a mapping; undefined removes it. */
export function mapValues(
  map: PlacedMap,
  change: (value: Placed, key: string) => Placed | undefined,
): PlacedMap {
  const entries = [...map.entries].flatMap(([key, entry]) => {
    const value = change(entry.value, key);
    return value === undefined ? [] : [[key, { ...entry, value }] as const];
  });
  return { ...map, entries: new Map(entries) };
}

/** The place of the deepest value on the way to `path` that was written, or of its key. */
export function positionIn(top: Placed, path: ComposePath, part: 'key' | 'value' = 'key'): Position {
  let here: Placed = top;
  let at = top.at;
  for (const step of path) {
    const next: PlacedEntry | undefined =
      here.kind === 'map'
        ? here.entries.get(String(step))
        : here.kind === 'list' && typeof step === 'number'
          ? entryOf(here.items[step])
          : undefined;
    if (next === undefined) break;
    ({ keyAt: at, value: here } = next);
  }
  return part === 'key' ? at : here.at;
}

function entryOf(item: Placed | undefined): PlacedEntry | undefined {
  return item && { keyAt: item.at, value: item };
}

export function isPlacedText(placed: Placed | undefined): placed is PlacedScalar & { value: string } {
  return placed?.kind === 'scalar' && typeof placed.value === 'string';
}

/** A scalar as Compose writes it into a text: `1.10` is `1.1`, an absent value nothing. */
export function textOfScalar({ value, text }: PlacedScalar): string {
  return text ?? (value === null ? '' : String(value));
}

export function entriesOf(value: Placed | undefined): Iterable<[string, PlacedEntry]> {
  return value?.kind === 'map' ? value.entries : [];
}
