import type { ComposePath, ComposeProblem } from './compose-project.ts';
import {
  fieldOf,
  listAt,
  type Placed,
  plainOf,
  type PlacedEntry,
  type PlacedMap,
  withField,
} from './placed.ts';
import type { YamlDocument } from './parse-yaml.ts';

/**
 * Merges a file's model over that of the files before it, both in the long syntax: mappings key by key, lists
 * appended and then one entry for each target, path or name, all else replaced. Pure but for `problems`.
 */
export function mergeModels(base: PlacedMap, over: PlacedMap, problems: ComposeProblem[]): PlacedMap {
  return unique(merge(base, over, [], problems), []) as PlacedMap;
}

/** The same for a service that extends another. */
export function mergeService(
  base: PlacedMap,
  over: PlacedMap,
  { name, problems }: { readonly name: string; readonly problems: ComposeProblem[] },
): PlacedMap {
  const path = ['services', name];
  return unique(merge(base, over, path, problems), path) as PlacedMap;
}

/** What earlier files have where `!reset` or `!override` stand. */
export function withoutResets(model: PlacedMap, resets: YamlDocument['resets']): PlacedMap {
  return resets.reduce<PlacedMap>((left, path) => without(left, path) as PlacedMap, model);
}

function without(value: Placed, [step, ...rest]: ComposePath): Placed {
  const key = String(step);
  const inner = fieldOf(value, key);
  if (value.kind !== 'map' || inner === undefined) return value;
  return withField(value, key, rest.length === 0 ? undefined : without(inner, rest));
}

function merge(base: Placed, over: Placed, path: ComposePath, problems: ComposeProblem[]): Placed {
  const rule = ruleFor(path);
  if (rule === 'replace') return over;
  if (over.kind === 'scalar' && over.value === null) return base;
  if (base.kind === 'scalar' && base.value === null) return over;
  if (base.kind === 'map' && over.kind === 'map') {
    if (rule === 'by driver' && differ(base, over, 'driver')) return over;
    const entries = new Map<string, PlacedEntry>(base.entries);
    for (const [key, entry] of over.entries) {
      const old = rule === 'by key' || key.startsWith('x-') ? undefined : entries.get(key);
      if (old === undefined) entries.set(key, entry);
      else {
        const value = merge(old.value, entry.value, [...path, key], problems);
        // What is merged of both has its first place; what is replaced has the new one.
        entries.set(key, { keyAt: value === entry.value ? entry.keyAt : old.keyAt, value });
      }
    }
    return { kind: 'map', at: base.at, entries };
  }
  if (base.kind === 'list' && over.kind === 'list') return listAt(base.at, [...base.items, ...over.items]);
  if (base.kind === 'scalar') return over;
  problems.push({ kind: 'error', message: `cannot override ${path.join('.')}`, path, position: over.at });
  return base;
}

function differ(base: PlacedMap, over: PlacedMap, key: string): boolean {
  const [one, other] = [fieldOf(base, key), fieldOf(over, key)];
  return one !== undefined && other !== undefined && plainOf(one) !== plainOf(other);
}

type Rule = 'replace' | 'by key' | 'by driver' | undefined;

/** By a service's field, or `FIELD.FIELD` below it. */
const serviceRules: Readonly<Record<string, Rule>> = {
  command: 'replace',
  entrypoint: 'replace',
  'healthcheck.test': 'replace',
  annotations: 'by key',
  'build.args': 'by key',
  'build.additional_contexts': 'by key',
  'build.labels': 'by key',
  'deploy.labels': 'by key',
  environment: 'by key',
  labels: 'by key',
  logging: 'by driver',
  sysctls: 'by key',
  ulimits: 'by key',
};

function ruleFor(path: ComposePath): Rule {
  const [section, , ...rest] = path;
  if (rest.length === 0) return undefined;
  if (section === 'services') return serviceRules[rest.join('.')];
  return (section === 'volumes' || section === 'networks') && rest.join('.') === 'labels'
    ? 'by key'
    : undefined;
}

type KeyOf = (item: Placed) => string | undefined;

/** The lists that have one entry for each of these; all other lists keep all entries. */
const uniqueLists: Readonly<Record<string, KeyOf>> = {
  'build.tags': beforeEquals,
  cap_add: beforeEquals,
  cap_drop: beforeEquals,
  configs: (item) => grantKey(item, ''),
  devices: (item) => textAt(item, 'target'),
  dns: beforeEquals,
  dns_opt: beforeEquals,
  dns_search: beforeEquals,
  env_file: (item) => textAt(item, 'path'),
  expose: (item) => (item.kind === 'scalar' ? String(item.value) : undefined),
  links: beforeEquals,
  ports: portKey,
  profiles: beforeEquals,
  secrets: (item) => grantKey(item, '/run/secrets'),
  tmpfs: beforeEquals,
  volumes: (item) => textAt(item, 'target'),
};

function unique(value: Placed, path: ComposePath): Placed {
  if (value.kind === 'map') {
    // No list that is unique lies deeper.
    if (path.length > 5 || (path.length > 0 && path[0] !== 'services')) return value;
    let changed: Map<string, PlacedEntry> | undefined;
    for (const [key, entry] of value.entries) {
      const inner = unique(entry.value, [...path, key]);
      if (inner !== entry.value) (changed ??= new Map(value.entries)).set(key, { ...entry, value: inner });
    }
    return changed === undefined ? value : { ...value, entries: changed };
  }
  if (value.kind !== 'list') return value;
  const keyOf = uniqueKey(path);
  return keyOf === undefined ? value : withoutDuplicates(value.items, keyOf, value);
}

function uniqueKey([, , ...rest]: ComposePath): KeyOf | undefined {
  if (rest[0] === 'networks' && (rest[2] === 'aliases' || rest[2] === 'link_local_ips')) return beforeEquals;
  return Object.hasOwn(uniqueLists, rest.join('.')) ? uniqueLists[rest.join('.')] : undefined;
}

/** The last of several, at the place of the first. */
function withoutDuplicates(items: readonly Placed[], keyOf: KeyOf, list: Placed): Placed {
  const kept = new Map<unknown, Placed>();
  for (const item of items) kept.set(keyOf(item) ?? item, item);
  return kept.size === items.length ? list : listAt(list.at, [...kept.values()]);
}

function beforeEquals(item: Placed): string | undefined {
  return item.kind === 'scalar' ? String(item.value).replace(/=[^]*$/, '') : undefined;
}

function textAt(item: Placed, key: string): string | undefined {
  const field = fieldOf(item, key);
  return field?.kind === 'scalar' && field.value !== null ? String(field.value) : undefined;
}

function grantKey(item: Placed, folder: string): string | undefined {
  return textAt(item, 'target') ?? `${folder}/${textAt(item, 'source') ?? ''}`;
}

function portKey(item: Placed): string | undefined {
  if (item.kind === 'scalar') return String(item.value);
  const [host, published, target, protocol] = ['host_ip', 'published', 'target', 'protocol'].map((key) =>
    textAt(item, key),
  );
  return `${host ?? '0.0.0.0'}:${published ?? ''}:${target ?? ''}/${protocol ?? 'tcp'}`;
}
