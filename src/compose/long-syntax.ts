import { cleanPath } from '../model/clean-path.ts';
import { AppError } from '../model/errors.ts';
import { formatComposeLongMount, parseComposeShortMount } from './compose-mount.ts';
import {
  fieldOf,
  isPlacedText,
  listAt,
  mapAt,
  mapValues,
  type Placed,
  placedAt,
  type PlacedMap,
  scalarAt,
  textOfScalar,
  withField,
} from './placed.ts';

type Change = (value: Placed) => Placed;

/**
 * One file's model with everything in the long syntax, so that files can be merged field by field. A value of
 * no known syntax stays as it is: its reader says what is wrong with it.
 */
export function toLongSyntax(top: PlacedMap): PlacedMap {
  return mapValues(top, (section, key) => {
    if (section.kind === 'list' && key === 'include') return listAt(section.at, section.items.map(includeOf));
    const change = sections[key];
    if (section.kind !== 'map' || change === undefined) return section;
    return mapValues(section, (value) => (value.kind === 'map' ? change(value) : value));
  });
}

const sections: Readonly<Record<string, (value: PlacedMap) => Placed>> = {
  services: serviceOf,
  volumes: (volume) => changed(resourceOf(volume), { labels: keyed(''), driver_opts: keyed('') }),
  networks: (network) => changed(resourceOf(network), { labels: keyed(''), driver_opts: keyed('') }),
  configs: (config) => changed(resourceOf(config), { labels: keyed('') }),
  secrets: (secret) => changed(resourceOf(secret), { labels: keyed('') }),
};

const serviceFields: Readonly<Record<string, Change>> = {
  annotations: keyed(''),
  build: (build) =>
    isPlacedText(build)
      ? wrapped('context', build)
      : changed(build, {
          args: keyed(null),
          labels: keyed(''),
          additional_contexts: keyed(''),
          secrets: each(grantOf),
        }),
  configs: each(grantOf),
  depends_on: dependenciesOf,
  deploy: (deploy) => changed(deploy, { labels: keyed('') }),
  devices: each(deviceOf),
  dns: listed,
  dns_opt: listed,
  dns_search: listed,
  env_file: (files) => each((file) => (isPlacedText(file) ? wrapped('path', file) : file))(listed(files)),
  environment: keyed(null),
  extends: (extension) => (isPlacedText(extension) ? wrapped('service', extension) : extension),
  label_file: listed,
  labels: keyed(''),
  networks: (networks) => namesAsKeys(networks, (at) => scalarAt(null, at)),
  secrets: each(grantOf),
  sysctls: keyed(''),
  tmpfs: listed,
  volumes: each(mountOf),
};

export function serviceOf(service: PlacedMap): PlacedMap {
  return changed(service, serviceFields) as PlacedMap;
}

function changed(map: Placed, changes: Readonly<Record<string, Change>>): Placed {
  if (map.kind !== 'map') return map;
  return mapValues(map, (value, key) =>
    Object.hasOwn(changes, key) ? (changes[key] as Change)(value) : value,
  );
}

function wrapped(key: string, value: Placed): PlacedMap {
  return mapAt(value.at, [[key, { keyAt: value.at, value }]]);
}

function listed(value: Placed): Placed {
  return isPlacedText(value) ? listAt(value.at, [value]) : value;
}

function each(change: Change): Change {
  return (list) => (list.kind === 'list' ? listAt(list.at, list.items.map(change)) : list);
}

/** `- KEY=value` lines as a mapping; a line without `=` has the value `bare`. */
function keyed(bare: '' | null): Change {
  return (value) => {
    if (value.kind !== 'list' || value.items.some(({ kind }) => kind !== 'scalar')) return value;
    const entries = value.items.flatMap((item) => {
      if (item.kind !== 'scalar') return [];
      const text = textOfScalar(item);
      const equals = text.indexOf('=');
      const [key, inner] = equals === -1 ? [text, bare] : [text.slice(0, equals), text.slice(equals + 1)];
      return [[key, { keyAt: item.at, value: scalarAt(inner, item.at) }] as const];
    });
    return mapAt(value.at, entries);
  };
}

function namesAsKeys(value: Placed, inner: (at: Placed['at']) => Placed): Placed {
  if (value.kind !== 'list') return value;
  return mapAt(
    value.at,
    value.items.flatMap((item) =>
      isPlacedText(item) ? [[item.value, { keyAt: item.at, value: inner(item.at) }] as const] : [],
    ),
  );
}

function dependenciesOf(value: Placed): Placed {
  return namesAsKeys(value, (at) => placedAt({ condition: 'service_started', required: true }, at));
}

function grantOf(value: Placed): Placed {
  return isPlacedText(value) ? { ...wrapped('source', value), written: value } : value;
}

function deviceOf(value: Placed): Placed {
  if (!isPlacedText(value)) return value;
  const [source = '', target = '', permissions = 'rwm', ...more] = value.value.split(':');
  if (more.length > 0) return value;
  const device = placedAt({ source, target: target === '' ? source : target, permissions }, value.at);
  return { ...(device as PlacedMap), written: value };
}

function mountOf(value: Placed): Placed {
  if (!isPlacedText(value)) return value;
  try {
    const mount = parseComposeShortMount(value.value);
    const long = formatComposeLongMount({ ...mount, target: cleanPath(mount.target) });
    return { ...(placedAt(long, value.at) as PlacedMap), written: value };
  } catch (error) {
    // The reader of the service says what is wrong with it.
    if (error instanceof AppError) return value;
    throw error;
  }
}

function includeOf(value: Placed): Placed {
  return isPlacedText(value) ? wrapped('path', value) : value;
}

/** `external: { name: pg }`, the old form, as `external: true` and a name. */
function resourceOf(resource: PlacedMap): PlacedMap {
  const external = fieldOf(resource, 'external');
  if (external?.kind !== 'map') return resource;
  const name = fieldOf(external, 'name');
  const flagged = withField(resource, 'external', scalarAt(true, external.at));
  return name === undefined || fieldOf(resource, 'name') !== undefined
    ? flagged
    : withField(flagged, 'name', name);
}
