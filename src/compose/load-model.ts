import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { errorMessage } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { checkTop } from './check-fields.ts';
import { extendAll } from './extend-services.ts';
import type { Lookup } from './fill-in.ts';
import { mergeModels, withoutResets } from './merge-projects.ts';
import { type ModelScope, ownModel, warnOfHidden } from './own-model.ts';
import {
  fieldOf,
  isPlacedText,
  mapAt,
  mapValues,
  type Placed,
  type PlacedMap,
  plainOf,
  positionIn,
  scalarAt,
  withField,
} from './placed.ts';
import { isUnreadable, isUnusable, type ProjectFiles } from './project-files.ts';
import { readEnvFile } from './read-env-file.ts';
import { isRemote, pathFrom, resolvePaths } from './resolve-paths.ts';

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
      const own = ownModel(document, scope, files);
      warnOfHidden(own, files);
      checkTop(own, (message, at) => {
        if (!files.isRefused(at)) files.report('error', message, at, positionIn(own, at));
      });
      const extended = await extendAll(own, { path, resets: document.resets, scope, files });
      const whole = await includeAll(extended, { scope, files, includedBy: [...includedBy, path] });
      model = mergeModels(withoutResets(model, document.resets), whole, files.problems);
    }
  }
  return mapServices(resolvePaths(mapServices(model, withContext), scope), (service) =>
    withVariables(service, scope),
  );
}

/** Deeper includes are made to hurt. */
const mostNested = 50;

interface Including {
  readonly scope: ModelScope;
  readonly files: ProjectFiles;
  readonly includedBy: readonly string[];
}

async function includeAll(model: PlacedMap, { scope, files, includedBy }: Including): Promise<PlacedMap> {
  const list = fieldOf(model, 'include');
  if (list === undefined) return model;
  let whole = withField(model, 'include', undefined);
  if (list.kind === 'scalar' && list.value === null) return whole;
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
    if (cycle !== undefined || includedBy.length > mostNested) {
      refuse(`include cycle detected: ${[...includedBy, cycle ?? paths[0]].join(' includes ')}`);
      continue;
    }
    try {
      const inner = await scopeOfInclude(entry, { paths, scope, files });
      whole = imported(whole, await loadModel(paths, inner, files, includedBy), files);
    } catch (error) {
      if (!isUnusable(error)) throw error;
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
  // No variable is looked up.
  if (!scope.interpolate) return { ...scope, directory };
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

function textsOf(value: Placed | undefined): string[] {
  if (isPlacedText(value)) return [value.value];
  return value?.kind === 'list'
    ? value.items.flatMap((item) => (isPlacedText(item) ? [item.value] : []))
    : [];
}
