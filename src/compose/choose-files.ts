import { access } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { ComposeRequest } from './compose-project.ts';
import { CannotFillIn, fillIn, type Lookup } from './fill-in.ts';
import { readVariables } from './load-model.ts';
import { fieldOf, isPlacedText } from './placed.ts';
import type { ProjectFiles } from './project-files.ts';

const defaultNames = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'];
const overrideNames = [
  'compose.override.yml',
  'compose.override.yaml',
  'docker-compose.override.yml',
  'docker-compose.override.yaml',
];

/** Which files make a project, and with which variables they are read. */
export interface ChosenFiles {
  /** Absolute, at least one. */
  readonly paths: readonly string[];
  readonly directory: string;
  readonly name: string;
  readonly profiles: readonly string[];
  readonly lookup: Lookup;
}

/**
 * Chooses as `docker compose` does: files that are named, those of `COMPOSE_FILE`, or the first default name
 * in the folder or above it with its override; `.env` of the folder where it looks and of the project's.
 */
export async function chooseFiles(request: ComposeRequest, files: ProjectFiles): Promise<ChosenFiles> {
  const start = resolve(request.directory ?? '.');
  const projectDirectory =
    request.projectDirectory === undefined ? undefined : resolve(start, request.projectDirectory);
  const named = (request.files ?? []).map((file) => resolve(start, file));
  const folderOf = (paths: readonly string[]): string =>
    projectDirectory ?? (paths[0] === undefined ? start : dirname(paths[0]));
  const values = new Map<string, string>();
  const environment: Lookup = (name) => request.env[name] ?? values.get(name);
  const addVariables = async (directory: string): Promise<void> => {
    const envFiles = (request.envFiles ?? []).map((file) => resolve(start, file));
    if (request.interpolate === false) return;
    if (envFiles.length === 0 && /^(?:1|t|true)$/i.test(request.env['COMPOSE_DISABLE_ENV_FILE'] ?? ''))
      return;
    const found = await readVariables(envFiles, { directory, lookup: environment, files });
    for (const [name, value] of found) if (!values.has(name)) values.set(name, value);
  };
  await addVariables(folderOf(named));
  const paths = named.length > 0 ? named : await findFiles(start, environment);
  const directory = folderOf(paths);
  await addVariables(directory);
  const name = await nameOf({ request, paths, directory, environment }, files);
  const wanted = request.profiles ?? [];
  const profiles = wanted.length > 0 ? wanted : (environment('COMPOSE_PROFILES') ?? '').split(',');
  return {
    paths,
    directory,
    name,
    profiles: profiles.map((profile) => profile.trim()).filter((profile) => profile !== ''),
    lookup: (variable) => (variable === 'COMPOSE_PROJECT_NAME' ? name : environment(variable)),
  };
}

async function findFiles(start: string, environment: Lookup): Promise<string[]> {
  const named = environment('COMPOSE_FILE');
  const separator = environment('COMPOSE_PATH_SEPARATOR') ?? '';
  if (named !== undefined && named !== '')
    return named.split(separator === '' ? ':' : separator).map((file) => resolve(start, file));
  for (let folder = start; ; folder = dirname(folder)) {
    const found = await firstOf(defaultNames, folder);
    if (found !== undefined) {
      const override = await firstOf(overrideNames, folder);
      return [found, ...(override === undefined ? [] : [override])];
    }
    if (dirname(folder) === folder) break;
  }
  throw new AppError('not-found', `There is no Compose file in ${quote(start)} or above it`, {
    hint: `Name one, or a folder that has ${defaultNames.join(', ')}.`,
  });
}

async function firstOf(names: readonly string[], folder: string): Promise<string | undefined> {
  for (const name of names) {
    const path = resolve(folder, name);
    const exists = await access(path).then(
      () => true,
      // One that cannot be reached is none, as for Compose.
      () => false,
    );
    if (exists) return path;
  }
  return undefined;
}

interface Naming {
  readonly request: ComposeRequest;
  readonly paths: readonly string[];
  readonly directory: string;
  readonly environment: Lookup;
}

async function nameOf(
  { request, paths, directory, environment }: Naming,
  files: ProjectFiles,
): Promise<string> {
  const given = request.projectName ?? environment('COMPOSE_PROJECT_NAME') ?? '';
  if (given !== '') {
    if (normalized(given) === given) return given;
    throw new AppError(
      'usage',
      `invalid project name ${quote(given)}: must consist only of lowercase alphanumeric characters, hyphens, and underscores as well as start with a letter or number`,
    );
  }
  let written = '';
  for (const path of paths) {
    for (const { top } of (await files.yaml(path)).documents) {
      const name = fieldOf(top, 'name');
      if (isPlacedText(name) && name.value !== '') written = name.value;
    }
  }
  const name = normalized(filledInName(written, environment, files)) || normalized(basename(directory));
  if (name !== '') return name;
  throw new AppError('usage', `The Compose project in ${quote(directory)} has no name`, {
    hint: 'Give it one, by "name:" at the top of its file or by COMPOSE_PROJECT_NAME.',
  });
}

function filledInName(written: string, lookup: Lookup, files: ProjectFiles): string {
  try {
    return fillIn(written, { lookup, limits: files.limits });
  } catch (error) {
    // It is reported with its place when the file is loaded.
    if (error instanceof CannotFillIn) return '';
    throw error;
  }
}

function normalized(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '');
}
