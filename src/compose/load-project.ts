import { AppError } from '../model/errors.ts';
import { checkFields } from './check-fields.ts';
import { checkProject } from './check-project.ts';
import { chooseFiles, type ChosenFiles } from './choose-files.ts';
import { addEnvFiles, completeService } from './complete-services.ts';
import { flagOf, type Section, sectionOf, textOf } from './compose-fields.ts';
import type {
  ComposePath,
  ComposeProject,
  ComposeRequest,
  ComposeResource,
  ComposeService,
} from './compose-project.ts';
import { parseComposeVolume } from './compose-volume.ts';
import { newLoadLimits } from './load-limits.ts';
import { loadModel } from './load-model.ts';
import {
  entriesOf,
  fieldOf,
  mapAt,
  type Placed,
  placedIn,
  type PlacedMap,
  plainOf,
  positionIn,
  withField,
} from './placed.ts';
import { ProjectFiles } from './project-files.ts';
import { extensionsOf, readService } from './service-fields.ts';

/**
 * Reads a project. Throws `not-found` when there is no Compose file, `usage` for YAML that is broken (with
 * `FILE:LINE:COLUMN` at the start of the message) in a file that is not merely included or extended, for too much of anything, and for a project without a valid
 * name, `denied` or `failed` for a file named by the caller that cannot be read. All else that Compose refuses
 * is in `problems`. Starts no program, fetches nothing, and reads regular files only, each of a mebibyte at
 * most.
 */
export async function loadProject(request: ComposeRequest): Promise<ComposeProject> {
  const files = new ProjectFiles(newLoadLimits(request.signal));
  const chosen = await chooseFiles(request, files);
  const scope = {
    directory: chosen.directory,
    home: request.env['HOME'],
    lookup: chosen.lookup,
    interpolate: request.interpolate ?? true,
  };
  const model = await loadModel(chosen.paths, scope, files);
  const error = (message: string, path: ComposePath): void =>
    files.report('error', message, path, positionIn(model, path));
  checkFields(model, error);
  warnOfVersion(model, files);
  const { whole, services, inactive } = await readServices(model, chosen, files);
  const raw = plainOf(withField(whole, 'version', undefined)) as Section;
  const read = <T>(section: string, reader: (key: string, value: unknown) => T): Map<string, T> =>
    readSection(whole, section, { reader, error });
  const found = {
    name: chosen.name,
    directory: chosen.directory,
    files: chosen.paths,
    filesRead: files.paths,
    services,
    inactiveServices: inactive,
    volumes: read('volumes', (key, value) => parseComposeVolume(key, value, chosen.name)),
    configs: read('configs', (key, value) => resourceOf(key, value, chosen.name)),
    secrets: read('secrets', (key, value) => resourceOf(key, value, chosen.name)),
    extensions: extensionsOf(raw),
    raw,
    positionOf: (path: ComposePath, part?: 'key' | 'value') => positionIn(whole, path, part),
    commentsOf: (path: ComposePath) =>
      placedIn(whole, path) === undefined ? [] : files.commentsAt(positionIn(whole, path)),
  };
  checkProject(found, (message, path) => files.report('error', message, path, positionIn(whole, path)));
  return { ...found, problems: files.problems };
}

function warnOfVersion(model: PlacedMap, files: ProjectFiles): void {
  const version = model.entries.get('version');
  if (version === undefined) return;
  const message =
    'the attribute `version` is obsolete, it will be ignored, please remove it to avoid potential confusion';
  files.report('warning', message, ['version'], version.keyAt);
}

interface ReadServices {
  /** The model with what Compose adds to services. */
  readonly whole: PlacedMap;
  readonly services: ReadonlyMap<string, ComposeService>;
  readonly inactive: ReadonlyMap<string, ComposeService>;
}

async function readServices(
  model: PlacedMap,
  chosen: ChosenFiles,
  files: ProjectFiles,
): Promise<ReadServices> {
  const services = new Map<string, ComposeService>();
  const inactive = new Map<string, ComposeService>();
  const section = fieldOf(model, 'services');
  const entries = new Map(section?.kind === 'map' ? section.entries : []);
  for (const [name, entry] of [...entries].toSorted(([one], [other]) => (one < other ? -1 : 1))) {
    if (entry.value.kind !== 'map') continue;
    const completed = completeService(entry.value);
    const isActive = hasProfile(fieldOf(completed, 'profiles'), chosen.profiles);
    // Compose opens the files of active services only.
    const value = isActive ? await addEnvFiles(name, completed, { lookup: chosen.lookup, files }) : completed;
    entries.set(name, { ...entry, value });
    (isActive ? services : inactive).set(name, readService(name, value, files));
  }
  const whole = section === undefined ? model : withField(model, 'services', mapAt(section.at, entries));
  return { whole, services, inactive };
}

function hasProfile(profiles: Placed | undefined, active: readonly string[]): boolean {
  const own = profiles === undefined ? [] : plainOf(profiles);
  if (!Array.isArray(own) || own.length === 0) return true;
  return active.includes('*') || own.some((profile) => active.includes(String(profile)));
}

interface SectionReading<T> {
  readonly reader: (key: string, value: unknown) => T;
  readonly error: (message: string, path: ComposePath) => void;
}

function readSection<T>(
  model: PlacedMap,
  section: string,
  { reader, error }: SectionReading<T>,
): Map<string, T> {
  const found = new Map<string, T>();
  for (const [key, { value }] of entriesOf(fieldOf(model, section))) {
    try {
      found.set(key, reader(key, plainOf(value)));
    } catch (problem) {
      if (!(problem instanceof AppError)) throw problem;
      error(problem.message, [section, key]);
    }
  }
  return found;
}

function resourceOf(key: string, value: unknown, project: string): ComposeResource {
  const entry = sectionOf(value ?? {}, key);
  const external = flagOf(entry, 'external') ?? false;
  return {
    key,
    name: textOf(entry, 'name') ?? (external ? key : `${project}_${key}`),
    external,
    file: textOf(entry, 'file'),
    environment: textOf(entry, 'environment'),
    content: textOf(entry, 'content'),
  };
}
