import { AppError, errorMessage } from '../model/errors.ts';
import type { Lookup } from './fill-in.ts';
import {
  entriesOf,
  fieldOf,
  isPlacedText,
  mapAt,
  type Placed,
  placedAt,
  type PlacedEntry,
  type PlacedMap,
  scalarAt,
  withField,
} from './placed.ts';
import type { ProjectFiles } from './project-files.ts';
import { readEnvFile } from './read-env-file.ts';

/** What Compose adds to a service by itself: `depends_on` by what it shares with others, and defaults. Pure. */
export function completeService(service: PlacedMap): PlacedMap {
  const build = fieldOf(service, 'build');
  const isPlain =
    build?.kind === 'map' && !build.entries.has('dockerfile') && !build.entries.has('dockerfile_inline');
  const built = isPlain
    ? withField(service, 'build', withField(build, 'dockerfile', scalarAt('Dockerfile', build.at)))
    : service;
  const dependencies = new Map<string, PlacedEntry>();
  for (const [name, entry] of entriesOf(fieldOf(built, 'depends_on')))
    dependencies.set(name, { ...entry, value: withDefaults(entry.value) });
  const add = (name: string, at: Placed['at'], restart: boolean): void => {
    if (name === '' || dependencies.has(name)) return;
    const value = placedAt({ condition: 'service_started', restart, required: true }, at);
    dependencies.set(name, { keyAt: at, value });
  };
  for (const link of itemsOf(built, 'links')) if (isPlacedText(link)) add(before(link.value), link.at, true);
  for (const key of ['network_mode', 'ipc', 'pid', 'uts', 'cgroup']) {
    const value = fieldOf(built, key);
    if (isPlacedText(value) && value.value.startsWith('service:'))
      add(value.value.slice('service:'.length), value.at, true);
  }
  for (const from of itemsOf(built, 'volumes_from'))
    if (isPlacedText(from) && !from.value.startsWith('container:')) add(before(from.value), from.at, false);
  if (dependencies.size === 0) return built;
  const at = fieldOf(built, 'depends_on')?.at ?? built.at;
  return withField(built, 'depends_on', mapAt(at, dependencies));
}

function before(text: string): string {
  return text.split(':')[0] ?? '';
}

function itemsOf(map: PlacedMap, key: string): readonly Placed[] {
  const list = fieldOf(map, key);
  return list?.kind === 'list' ? list.items : [];
}

function withDefaults(dependency: Placed): Placed {
  if (dependency.kind !== 'map') return dependency;
  return mapAt(dependency.at, [
    ...mapAt(dependency.at, [
      ['condition', { keyAt: dependency.at, value: scalarAt('service_started', dependency.at) }],
      ['required', { keyAt: dependency.at, value: scalarAt(true, dependency.at) }],
    ]).entries,
    ...dependency.entries,
  ]);
}

/** Adds the variables of the service's `env_file`s, each with its place there; its own come before them. */
export async function addEnvFiles(
  name: string,
  service: PlacedMap,
  { lookup, files }: { readonly lookup: Lookup; readonly files: ProjectFiles },
): Promise<PlacedMap> {
  const found = new Map<string, PlacedEntry>();
  const known: Lookup = (variable) => {
    const value = found.get(variable)?.value;
    return isPlacedText(value) ? value.value : lookup(variable);
  };
  for (const [index, entry] of itemsOf(service, 'env_file').entries()) {
    const path = fieldOf(entry, 'path');
    if (!isPlacedText(path)) continue;
    const required = fieldOf(entry, 'required');
    const isRequired = !(required?.kind === 'scalar' && required.value === false);
    const format = fieldOf(entry, 'format');
    try {
      const content = await files.text(path.value);
      const values =
        isPlacedText(format) && format.value === 'raw'
          ? rawValues(content, path.value)
          : readEnvFile(content, { file: path.value, lookup: known, limits: files.limits });
      for (const [key, { value, at }] of values) found.set(key, { keyAt: at, value: scalarAt(value, at) });
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (error.code === 'not-found' && !isRequired) continue;
      const message =
        error.code === 'not-found' ? `env file ${path.value} not found` : `env file: ${errorMessage(error)}`;
      files.report('error', message, ['services', name, 'env_file', index], entry.at);
    }
  }
  if (found.size === 0) return service;
  const own = fieldOf(service, 'environment');
  const entries = new Map([...found, ...(own?.kind === 'map' ? own.entries : [])]);
  return withField(service, 'environment', mapAt(own?.at ?? service.at, entries));
}

/** `format: raw`: each line as it is. */
function rawValues(content: string, file: string): [string, { value: string; at: Placed['at'] }][] {
  return content.split('\n').flatMap((text, index) => {
    const line = text.replace(/\r$/, '');
    const equals = line.indexOf('=');
    if (line.trimStart().startsWith('#') || equals < 1) return [];
    const at = { file, line: index + 1, column: 1 };
    return [[line.slice(0, equals).trim(), { value: line.slice(equals + 1), at }]];
  });
}
