import { cleanPath, resolvePath } from '../model/clean-path.ts';
import {
  fieldOf,
  isPlacedText,
  listAt,
  mapValues,
  type Placed,
  type PlacedMap,
  scalarAt,
  withField,
} from './placed.ts';

/** What relative paths and `~` stand for. */
export interface PathBase {
  readonly directory: string;
  readonly home: string | undefined;
}

/** Makes the paths of a model in the long syntax absolute; those that are stay as they are. Pure. */
export function resolvePaths(model: PlacedMap, base: PathBase): PlacedMap {
  const file = { file: (path: Placed) => absolute(path, base) };
  const changes: Readonly<Record<string, (value: Placed) => Placed>> = {
    services: (services) => eachValue(services, (service) => servicePaths(service, base)),
    configs: (configs) => eachValue(configs, (config) => changed(config, file)),
    secrets: (secrets) => eachValue(secrets, (secret) => changed(secret, file)),
    volumes: (volumes) => eachValue(volumes, (volume) => volumePaths(volume, base)),
  };
  return changed(model, changes) as PlacedMap;
}

/** A path of a Compose file, made absolute. */
export function pathFrom(path: string, { directory, home }: PathBase): string {
  if (path.startsWith('~') && home !== undefined) return cleanPath(`${home}/${path.slice(1)}`);
  return path.startsWith('/') ? path : resolvePath(path, directory);
}

/** What Compose fetches from elsewhere. */
export function isRemote(path: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/|^git@|^github\.com\/|^oci:/i.test(path);
}

function servicePaths(service: Placed, base: PathBase): Placed {
  const path = (value: Placed): Placed => absolute(value, base);
  const context = (value: Placed): Placed =>
    isPlacedText(value) && (isRemote(value.value) || value.value.startsWith('service:'))
      ? value
      : path(value);
  return changed(service, {
    build: (build) =>
      changed(build, { context, additional_contexts: (contexts) => eachValue(contexts, context) }),
    env_file: (files) => eachItem(files, (file) => changed(file, { path })),
    label_file: (files) => eachItem(files, path),
    extends: (extension) => changed(extension, { file: path }),
    volumes: (mounts) =>
      eachItem(mounts, (mount) =>
        textAt(mount, 'type') === 'bind'
          ? changed(mount, { source: (source) => outside(source, base) })
          : mount,
      ),
  });
}

/** Compose resolves the device only of a volume that is plainly a bind mount. */
function volumePaths(volume: Placed, base: PathBase): Placed {
  if (textAt(volume, 'driver') !== 'local') return volume;
  return changed(volume, {
    driver_opts: (options) =>
      textAt(options, 'o') === 'bind'
        ? changed(options, { device: (device) => outside(device, base) })
        : options,
  });
}

/** A path of the engine's machine, which may be Windows. */
function outside(value: Placed, base: PathBase): Placed {
  const isWindows = isPlacedText(value) && /^(?:[a-z]:[\\/]|\\\\)/i.test(value.value);
  return isWindows ? value : absolute(value, base);
}

function absolute(value: Placed, base: PathBase): Placed {
  if (!isPlacedText(value) || value.value === '') return value;
  return scalarAt(pathFrom(value.value, base), value.at);
}

function changed(map: Placed, changes: Readonly<Record<string, (value: Placed) => Placed>>): Placed {
  if (map.kind !== 'map') return map;
  let result = map;
  for (const [key, change] of Object.entries(changes)) {
    const value = fieldOf(map, key);
    const now = value && change(value);
    if (now !== undefined && now !== value) result = withField(result, key, now);
  }
  return result;
}

function eachValue(map: Placed, change: (value: Placed) => Placed): Placed {
  return map.kind === 'map' ? mapValues(map, change) : map;
}

function eachItem(list: Placed, change: (value: Placed) => Placed): Placed {
  return list.kind === 'list' ? listAt(list.at, list.items.map(change)) : list;
}

function textAt(map: Placed, key: string): string | undefined {
  const value = fieldOf(map, key);
  return isPlacedText(value) ? value.value : undefined;
}
