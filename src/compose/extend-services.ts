import { dirname } from 'node:path';
import type { Position } from '../model/finding.ts';
import { errorMessage } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { ComposePath } from './compose-project.ts';
import { mergeModels, mergeService, withoutResets } from './merge-projects.ts';
import { type ModelScope, ownModel } from './own-model.ts';
import type { YamlDocument } from './parse-yaml.ts';
import {
  entriesOf,
  fieldOf,
  isPlacedText,
  mapAt,
  type Placed,
  type PlacedEntry,
  type PlacedMap,
  withField,
} from './placed.ts';
import { isUnusable, type ProjectFiles } from './project-files.ts';
import { isRemote, pathFrom, resolvePaths } from './resolve-paths.ts';

/** Longer chains are made to hurt. */
const mostLinked = 50;

export interface Extending {
  readonly path: string;
  readonly resets: YamlDocument['resets'];
  readonly scope: ModelScope;
  readonly files: ProjectFiles;
}

/** Replaces each service that extends another by itself merged over that one. */
export async function extendAll(
  model: PlacedMap,
  { path, resets, scope, files }: Extending,
): Promise<PlacedMap> {
  const services = fieldOf(model, 'services');
  if (
    services?.kind !== 'map' ||
    ![...services.entries.values()].some(({ value }) => fieldOf(value, 'extends'))
  )
    return model;
  const own: BaseFile = { path, resets, services: new Map(services.entries), directory: scope.directory };
  for (const name of services.entries.keys()) await extend(name, own, { scope, files, chain: [] });
  return withField(model, 'services', { ...services, entries: own.services });
}

interface BaseFile {
  readonly path: string;
  readonly resets: YamlDocument['resets'];
  /** Extended ones replace what they were made of. */
  readonly services: Map<string, PlacedEntry>;
  readonly directory: string;
}

interface ExtendOptions {
  readonly scope: ModelScope;
  readonly files: ProjectFiles;
  readonly chain: readonly string[];
}

/** Replaces a service by itself merged over what it extends. */
async function extend(
  name: string,
  file: BaseFile,
  { scope, files, chain }: ExtendOptions,
): Promise<Placed | undefined> {
  const entry = file.services.get(name);
  const service = entry?.value;
  const extension = fieldOf(service, 'extends');
  if (entry === undefined || service?.kind !== 'map' || extension === undefined) return service;
  const bare = withField(service, 'extends', undefined);
  const refuse = (message: string, at: Position = extension.at): Placed => {
    files.report('error', message, ['services', name, 'extends'], at);
    file.services.set(name, { ...entry, value: bare });
    return bare;
  };
  const [reference, from] = [fieldOf(extension, 'service'), fieldOf(extension, 'file')];
  if (!isPlacedText(reference)) return refuse(`services.${name}.extends.service is required`);
  const here = `${file.path}: ${name}`;
  if (chain.includes(here) || chain.length > mostLinked)
    return refuse(
      `circular reference: service ${quote(name)} extends itself by ${[...chain, here].join(', ')}`,
    );
  let base = file;
  if (isPlacedText(from)) {
    if (isRemote(from.value))
      return refuse(`${quote(from.value)} is fetched from elsewhere, and was not read`, from.at);
    try {
      base = await baseFile(
        pathFrom(from.value, { directory: file.directory, home: scope.home }),
        scope,
        files,
      );
    } catch (error) {
      if (!isUnusable(error)) throw error;
      return refuse(`cannot extend service ${quote(name)}: ${errorMessage(error)}`, from.at);
    }
  }
  if (!base.services.has(reference.value)) {
    return refuse(
      `cannot extend service ${quote(name)} in ${file.path}: service ${quote(reference.value)} not found in ${base.path}`,
      reference.at,
    );
  }
  const found = await extend(reference.value, base, { scope, files, chain: [...chain, here] });
  const value =
    found?.kind === 'map'
      ? mergeService(clearedFor(name, found, file.resets), bare, { name, problems: files.problems })
      : bare;
  countValues(value, files);
  const extended = { ...value, at: service.at };
  file.services.set(name, { ...entry, value: extended });
  return extended;
}

/** What is extended is shared here, but each service is a copy of its own in the end. */
function countValues(value: Placed, files: ProjectFiles): void {
  files.limits.value();
  if (value.kind === 'list') for (const item of value.items) countValues(item, files);
  if (value.kind === 'map') for (const entry of value.entries.values()) countValues(entry.value, files);
}

/** A service of a file that another extends; its paths are relative to that file. */
async function baseFile(path: string, scope: ModelScope, files: ProjectFiles): Promise<BaseFile> {
  const directory = dirname(path);
  let model = mapAt({ file: path, line: 1, column: 1 }, []);
  const resets: ComposePath[] = [];
  for (const document of (await files.yaml(path)).documents) {
    resets.push(...document.resets);
    const own = ownModel(document, scope, files);
    model = mergeModels(withoutResets(model, document.resets), own, files.problems);
  }
  const resolved = resolvePaths(model, { directory, home: scope.home });
  return { path, resets, services: new Map(entriesOf(fieldOf(resolved, 'services'))), directory };
}

function clearedFor(name: string, base: PlacedMap, resets: YamlDocument['resets']): PlacedMap {
  const own = resets.filter(([section, service]) => section === 'services' && service === name);
  return withoutResets(
    base,
    own.map((path) => path.slice(2)).filter((path) => path.length > 0),
  );
}
