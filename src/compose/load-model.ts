import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Position } from '../model/finding.ts';
import { AppError, errorMessage } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { ComposePath } from './compose-project.ts';
import { CannotFillIn, fillIn, type Lookup } from './fill-in.ts';
import { toLongSyntax } from './long-syntax.ts';
import { mergeModels, mergeService, withoutResets } from './merge-projects.ts';
import { broken, type YamlDocument } from './parse-yaml.ts';
import {
  fieldOf,
  isPlacedText,
  mapAt,
  mapValues,
  type Placed,
  type PlacedEntry,
  type PlacedMap,
  plainOf,
  scalarAt,
  withField,
} from './placed.ts';
import type { ProjectFiles } from './project-files.ts';
import { readEnvFile } from './read-env-file.ts';
import { isRemote, pathFrom, resolvePaths } from './resolve-paths.ts';

/** What the files of a project, or of one `include`, are read with. */
export interface ModelScope {
  /** The project's folder: what relative paths are relative to, `extends` and `include` among them. */
  readonly directory: string;
  readonly home: string | undefined;
  readonly lookup: Lookup;
  /** False: variables stay as they are written. */
  readonly interpolate: boolean;
}

const mostLinked = 50;

/**
 * Reads files and merges them: variables filled in, long syntax, extended, included, paths absolute. What
 * Compose refuses is reported to `files` and left out.
 */
export async function loadModel(
  paths: readonly string[],
  scope: ModelScope,
  files: ProjectFiles,
  includedBy: readonly string[] = [],
): Promise<PlacedMap> {
  let model = mapAt({ file: paths[0] ?? scope.directory, line: 1, column: 1 }, []);
  for (const path of paths) {
    for (const document of (await files.yaml(path)).documents) {
      const own = filledIn(document, scope, files);
      warnOfHidden(own, files);
      const extended = await extendAll(own, { path, resets: document.resets, scope, files });
      const whole = await includeAll(extended, { scope, files, includedBy: [...includedBy, path] });
      model = mergeModels(withoutResets(model, document.resets), whole, files.problems);
    }
  }
  return mapServices(resolvePaths(mapServices(model, withContext), scope), (service) =>
    withVariables(service, scope),
  );
}

function filledIn(document: YamlDocument, scope: ModelScope, files: ProjectFiles): PlacedMap {
  const { top } = document;
  if (top.kind !== 'map') throw broken(top.at, 'top-level object must be a mapping');
  return toLongSyntax(scope.interpolate ? (fillInAll(top, [], scope, files) as PlacedMap) : top);
}

function fillInAll(
  value: Placed,
  path: ComposePath,
  scope: ModelScope,
  files: ProjectFiles,
): Placed | undefined {
  files.limits.value();
  if (value.kind === 'map')
    return mapValues(value, (inner, key) => fillInAll(inner, [...path, key], scope, files));
  if (value.kind === 'list') {
    const items = value.items.map((item, index) => fillInAll(item, [...path, index], scope, files));
    return { ...value, items: items.filter((item) => item !== undefined) };
  }
  if (typeof value.value !== 'string' || !value.value.includes('$')) return value;
  const unset = (name: string): void =>
    files.report(
      'warning',
      `The ${quote(name)} variable is not set. Defaulting to a blank string.`,
      path,
      value.at,
    );
  try {
    return scalarAt(fillIn(value.value, { lookup: scope.lookup, limits: files.limits, unset }), value.at);
  } catch (error) {
    if (!(error instanceof CannotFillIn)) throw error;
    files.report('error', `error while interpolating ${path.join('.')}: ${error.message}`, path, value.at);
    return undefined;
  }
}

/** Of two mounts at one path in one file, Compose takes the last without a word. */
function warnOfHidden(model: PlacedMap, files: ProjectFiles): void {
  for (const [name, { value: service }] of entriesOf(fieldOf(model, 'services'))) {
    const seen = new Map<unknown, string>();
    const mounts = fieldOf(service, 'volumes');
    for (const [index, mount] of (mounts?.kind === 'list' ? mounts.items : []).entries()) {
      const target = fieldOf(mount, 'target');
      if (!isPlacedText(target)) continue;
      const here = `services.${name}.volumes[${index}]`;
      const taken = seen.get(target.value);
      seen.set(target.value, here);
      if (taken === undefined) continue;
      files.report(
        'warning',
        `${here}: target ${target.value} already mounted as ${taken}`,
        ['services', name, 'volumes', index],
        mount.at,
      );
    }
  }
}

interface Extending {
  readonly path: string;
  readonly resets: YamlDocument['resets'];
  readonly scope: ModelScope;
  readonly files: ProjectFiles;
}

async function extendAll(model: PlacedMap, { path, resets, scope, files }: Extending): Promise<PlacedMap> {
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
      if (!isUnreadable(error)) throw error;
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
    const own = filledIn(document, scope, files);
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

interface Including {
  readonly scope: ModelScope;
  readonly files: ProjectFiles;
  readonly includedBy: readonly string[];
}

async function includeAll(model: PlacedMap, { scope, files, includedBy }: Including): Promise<PlacedMap> {
  const list = fieldOf(model, 'include');
  if (list === undefined) return model;
  let whole = withField(model, 'include', undefined);
  if (list.kind !== 'list') {
    files.report('error', 'include must be a list', ['include'], list.at);
    return whole;
  }
  for (const [index, entry] of list.items.entries()) {
    const path = ['include', index];
    const refuse = (message: string): void => files.report('error', message, path, entry.at);
    const named = textsOf(fieldOf(entry, 'path'));
    if (named.length === 0) {
      refuse('include.path is required');
      continue;
    }
    const remote = named.find(isRemote);
    if (remote !== undefined) {
      refuse(`${quote(remote)} is fetched from elsewhere, and was not read`);
      continue;
    }
    const paths = named.map((one) => pathFrom(one, scope));
    const cycle = paths.find((one) => includedBy.includes(one));
    if (cycle !== undefined || includedBy.length > mostLinked) {
      refuse(`include cycle detected: ${[...includedBy, cycle ?? paths[0]].join(' includes ')}`);
      continue;
    }
    try {
      const inner = await scopeOfInclude(entry, { paths, scope, files });
      whole = imported(whole, await loadModel(paths, inner, files, includedBy), files);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      refuse(errorMessage(error));
    }
  }
  return whole;
}

interface IncludedPaths {
  readonly paths: readonly string[];
  readonly scope: ModelScope;
  readonly files: ProjectFiles;
}

/** Variables of the including project come before those of the included one's own files. */
async function scopeOfInclude(entry: Placed, { paths, scope, files }: IncludedPaths): Promise<ModelScope> {
  const [folder] = textsOf(fieldOf(entry, 'project_directory'));
  const directory = folder === undefined || folder === '' ? dirname(paths[0] ?? '') : pathFrom(folder, scope);
  const named = textsOf(fieldOf(entry, 'env_file')).map((file) => pathFrom(file, scope));
  const values = await readVariables(named, { directory, lookup: scope.lookup, files });
  return { ...scope, directory, lookup: (name) => scope.lookup(name) ?? values.get(name) };
}

export interface VariableFiles {
  /** Where `.env` is looked for when none is named. */
  readonly directory: string;
  readonly lookup: Lookup;
  readonly files: ProjectFiles;
}

/** The variables of the named files, later ones first; of `.env`, which may be missing, when none is named. */
export async function readVariables(
  named: readonly string[],
  { directory, lookup, files }: VariableFiles,
): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  const known: Lookup = (name) => lookup(name) ?? values.get(name);
  for (const file of named.length === 0 ? [`${directory}/.env`] : named) {
    let content: string;
    try {
      content = await files.text(file);
    } catch (error) {
      if (named.length === 0 && isUnreadable(error)) continue;
      throw error;
    }
    const found = readEnvFile(content, { file, lookup: known, limits: files.limits });
    for (const [name, { value }] of found) values.set(name, value);
  }
  return values;
}

/** A file that is not there or no file: Compose says so, and the rest of the project can still be told. */
function isUnreadable(error: unknown): boolean {
  return error instanceof AppError && ['not-found', 'denied', 'failed'].includes(error.code);
}

function imported(model: PlacedMap, included: PlacedMap, files: ProjectFiles): PlacedMap {
  let whole = model;
  for (const section of ['services', 'volumes', 'networks', 'secrets', 'configs']) {
    const source = fieldOf(included, section);
    if (source?.kind !== 'map') continue;
    const own = fieldOf(whole, section);
    const entries = new Map(own?.kind === 'map' ? own.entries : []);
    for (const [name, entry] of source.entries) {
      const taken = entries.get(name);
      if (taken === undefined) entries.set(name, entry);
      else if (!isDeepStrictEqual(plainOf(taken.value), plainOf(entry.value)))
        files.report(
          'error',
          `${section}.${name} conflicts with imported resource`,
          [section, name],
          taken.keyAt,
        );
    }
    whole = withField(whole, section, { kind: 'map', at: own?.at ?? source.at, entries });
  }
  return whole;
}

function mapServices(model: PlacedMap, change: (service: PlacedMap) => PlacedMap): PlacedMap {
  const services = fieldOf(model, 'services');
  if (services?.kind !== 'map') return model;
  const changed = mapValues(services, (service) => (service.kind === 'map' ? change(service) : service));
  return withField(model, 'services', changed);
}

/** A build has the project's folder for its context, unless it says another. */
function withContext(service: PlacedMap): PlacedMap {
  const build = fieldOf(service, 'build');
  if (build?.kind !== 'map' || build.entries.has('context')) return service;
  return withField(service, 'build', withField(build, 'context', scalarAt('.', build.at)));
}

/** Variables without a value take that of the project, where it has one. */
function withVariables(service: PlacedMap, { lookup }: ModelScope): PlacedMap {
  const environment = fieldOf(service, 'environment');
  if (environment?.kind !== 'map') return service;
  const resolve = (value: Placed, name: string): Placed => {
    const given = value.kind === 'scalar' && value.value === null ? lookup(name) : undefined;
    return given === undefined ? value : scalarAt(given, value.at);
  };
  return withField(service, 'environment', mapValues(environment, resolve));
}

export function entriesOf(value: Placed | undefined): Iterable<[string, PlacedEntry]> {
  return value?.kind === 'map' ? value.entries : [];
}

function textsOf(value: Placed | undefined): string[] {
  if (isPlacedText(value)) return [value.value];
  return value?.kind === 'list'
    ? value.items.flatMap((item) => (isPlacedText(item) ? [item.value] : []))
    : [];
}
