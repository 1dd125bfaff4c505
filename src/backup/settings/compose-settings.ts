import { dirname } from 'node:path';
import { isScalar } from 'yaml';
import { type ComposeProject, formatPosition, loadProject } from '../../compose/index.ts';
import { AppError } from '../../model/errors.ts';
import type { Hook } from '../../model/hook.ts';
import {
  anyText,
  converted,
  either,
  fields,
  flag,
  mapOf,
  oneOrMore,
  type Shape,
  wholeNumber,
} from '../../lib/shape.ts';
import { readPlaced } from '../../lib/read-document.ts';
import { layered, noSettings, settingFields, settingsOf, type VolumeSettings } from './volume-settings.ts';

/** One `x-holdfast` section of a Compose file. */
export interface ComposeSetting {
  readonly backup: boolean | undefined;
  readonly policies: readonly string[] | undefined;
  readonly settings: VolumeSettings;
}

/**
 * The settings in a stack's Compose files: for all of it, by service, and by the volumes' keys in the file.
 */
export interface ComposeSettings {
  readonly stack: ComposeSetting;
  readonly services: ReadonlyMap<string, ComposeSetting>;
  readonly volumes: ReadonlyMap<string, ComposeSetting>;
  /** Files that cannot be read, and invalid values in them. */
  readonly warnings: readonly string[];
}

export const noComposeSetting: ComposeSetting = {
  backup: undefined,
  policies: undefined,
  settings: noSettings,
};

const noSettingsInFiles: ComposeSettings = {
  stack: noComposeSetting,
  services: new Map(),
  volumes: new Map(),
  warnings: [],
};

/** How a volume is made, for "holdfast compose prepare": a backup has no use for it. */
const storage = mapOf(
  either(
    wholeNumber(0, Number.MAX_SAFE_INTEGER),
    anyText,
    (node) => isScalar(node) && typeof node.value === 'number',
  ),
);

const request: Shape<ComposeSetting> = converted(
  fields({ backup: flag, policy: oneOrMore(anyText), storage, ...settingFields }),
  ({ backup, policy, ...fieldsOfVolume }): ComposeSetting => ({
    backup,
    policies: policy,
    settings: settingsOf({ ...fieldsOfVolume, hooks: fieldsOfVolume.hooks?.map(ofItsProject) }),
  }),
);

/** A project's file has no say over other projects. */
function ofItsProject(hook: Hook): Hook {
  return { ...hook, runsAnywhere: false };
}

/**
 * Reads `x-holdfast` in a stack's Compose files, with what they extend and include; later files win, setting by
 * setting. Variables stay as they are written: `$` in a hook belongs to its program. Never throws.
 */
export async function readComposeSettings(files: readonly string[]): Promise<ComposeSettings> {
  let found = noSettingsInFiles;
  const projectDirectory = directoryOf(files);
  for (const file of files) {
    try {
      found = merge(await readComposeFile(file, projectDirectory), found);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      // The engine may run on another machine, whose files are not here; a pipe or a device is no file.
      if (error.code !== 'usage') continue;
      const detail = error.detail === undefined ? '' : `: ${error.detail.replaceAll('\n', '; ')}`;
      found = { ...found, warnings: [...found.warnings, `${error.message}${detail}`] };
    }
  }
  return found;
}

/** A value of `x-holdfast` that cannot be used. */
export interface ComposeSettingProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** What `x-holdfast` names and gets wrong in Compose files, whether their stack was ever started or not. */
export async function inspectComposeSettings(files: readonly string[]): Promise<{
  readonly problems: readonly ComposeSettingProblem[];
  /** Names of policies. */
  readonly policies: readonly string[];
  /** The policies that the files name for a volume of a service; `false` where they want no backup of it. */
  readonly wanted: (volume: string, service: string) => readonly string[] | false | undefined;
}> {
  const problems: ComposeSettingProblem[] = [];
  const policies: string[] = [];
  let found = noSettingsInFiles;
  const directory = directoryOf(files);
  for (const file of files) {
    try {
      const read = await readComposeFile(file, directory);
      const { stack, services, volumes } = read;
      found = merge(read, found);
      const all = [stack, ...services.values(), ...volumes.values()];
      policies.push(...all.flatMap(({ policies: named }) => named ?? []));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (error.code !== 'usage') continue;
      const lines = error.detail?.split('\n') ?? [];
      problems.push(...(lines.length === 0 ? [error.message] : lines).map((line) => placed(line, file)));
    }
  }
  const wanted = (volume: string, service: string): readonly string[] | false | undefined => {
    const own = found.volumes.get(volume) ?? noComposeSetting;
    const around = layeredSetting(found.services.get(service) ?? noComposeSetting, found.stack);
    const { backup, policies: named } = layeredSetting(own, around);
    return backup === false ? false : named;
  };
  return { problems, policies, wanted };
}

/** `FILE:12:3: what is wrong`, in parts. */
function placed(text: string, file: string): ComposeSettingProblem {
  const [, from, line, column, message] = /^(\/.*?):(\d+):(\d+): (.*)$/s.exec(text) ?? [];
  return {
    file: from ?? file,
    line: Number(line ?? 1),
    column: Number(column ?? 1),
    message: message ?? text,
  };
}

/** The project's folder is that of its first file. */
function directoryOf([first]: readonly string[]): string | undefined {
  return first === undefined ? undefined : dirname(first);
}

/** Throws `usage` for invalid content. */
async function readComposeFile(file: string, projectDirectory: string | undefined): Promise<ComposeSettings> {
  const project = await loadProject({
    files: [file],
    projectDirectory,
    env: {},
    interpolate: false,
    // The stack's name is known; that of the file may hold variables.
    projectName: 'stack',
    profiles: ['*'],
  });
  const read = (path: readonly string[], value: unknown): ComposeSetting | undefined => {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'x-holdfast')) return undefined;
    const own = [...path, 'x-holdfast'];
    return readPlaced(request, {
      value: (value as Record<string, unknown>)['x-holdfast'],
      file,
      path: own,
      where: (at, part) => formatPosition(project.positionOf(at, part)),
    });
  };
  const below = (section: string): Map<string, ComposeSetting> => {
    const entries = Object.entries((project.raw[section] ?? {}) as Record<string, unknown>);
    const settings = entries.flatMap(([name, value]) => {
      const own = read([section, name], value);
      return own === undefined ? [] : [[name, own] as const];
    });
    return new Map(settings);
  };
  return {
    stack: read([], project.raw) ?? noComposeSetting,
    services: below('services'),
    volumes: below('volumes'),
    warnings: brokenFiles(project),
  };
}

/** Files that are included or extended and broken: what they say of backups is not known. */
function brokenFiles({ problems }: ComposeProject): string[] {
  return problems
    .filter(
      ({ path, message }) =>
        path.includes(path[0] === 'include' ? 'include' : 'extends') && place.test(message),
    )
    .map(({ message }) => message);
}

/** `FILE:LINE:COLUMN: `, which stands before what is wrong in a file. */
const place = /\/.*:\d+:\d+: /s;

/** The weaker layer supplies what the stronger does not set. */
export function layeredSetting(stronger: ComposeSetting, weaker: ComposeSetting): ComposeSetting {
  return {
    backup: stronger.backup ?? weaker.backup,
    policies: stronger.policies ?? weaker.policies,
    settings: layered(stronger.settings, weaker.settings),
  };
}

function merge(later: ComposeSettings, earlier: ComposeSettings): ComposeSettings {
  return {
    stack: layeredSetting(later.stack, earlier.stack),
    services: mergeMaps(later.services, earlier.services),
    volumes: mergeMaps(later.volumes, earlier.volumes),
    warnings: [...earlier.warnings, ...later.warnings],
  };
}

function mergeMaps(
  later: ReadonlyMap<string, ComposeSetting>,
  earlier: ReadonlyMap<string, ComposeSetting>,
): Map<string, ComposeSetting> {
  const merged = new Map(earlier);
  for (const [name, own] of later)
    merged.set(name, layeredSetting(own, earlier.get(name) ?? noComposeSetting));
  return merged;
}
