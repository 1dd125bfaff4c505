import { open } from 'node:fs/promises';
import { constants } from 'node:fs';
import { isMap, parseDocument, LineCounter, isScalar } from 'yaml';
import { openFlag } from '../../lib/posix-at.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import type { Hook } from '../../model/hook.ts';
import { quote } from '../../model/quote.ts';
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
import { readNode } from '../../lib/read-document.ts';
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

const mostBytes = 1 << 20;

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

/** Reads `x-holdfast` in a stack's Compose files; as in Compose, later files win. Never throws. */
export async function readComposeSettings(files: readonly string[]): Promise<ComposeSettings> {
  let found: ComposeSettings = {
    stack: noComposeSetting,
    services: new Map(),
    volumes: new Map(),
    warnings: [],
  };
  for (const file of files) {
    try {
      const content = await readSmall(file);
      if (content?.includes('x-holdfast')) found = merge(parseComposeSettings(content, file), found);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
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
}> {
  const problems: ComposeSettingProblem[] = [];
  const policies: string[] = [];
  for (const file of files) {
    try {
      const { stack, services, volumes } = parseComposeSettings((await readSmall(file)) ?? '', file);
      const all = [stack, ...services.values(), ...volumes.values()];
      policies.push(...all.flatMap(({ policies: named }) => named ?? []));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const lines = error.detail?.split('\n') ?? [];
      problems.push(...(lines.length === 0 ? [error.message] : lines).map((line) => placed(line, file)));
    }
  }
  return { problems, policies };
}

/** `FILE:12:3: what is wrong`, in parts. */
function placed(text: string, file: string): ComposeSettingProblem {
  const rest = text.startsWith(`${file}:`) ? text.slice(file.length + 1) : '';
  const [, line, column, message] = /^(\d+):(\d+): (.*)$/s.exec(rest) ?? [];
  return { file, line: Number(line ?? 1), column: Number(column ?? 1), message: message ?? text };
}

/** Throws `usage` for invalid content. */
export function parseComposeSettings(content: string, file: string): ComposeSettings {
  const lines = new LineCounter();
  const document = parseDocument(content, { lineCounter: lines, prettyErrors: false, merge: true });
  if (document.errors[0] !== undefined || !isMap(document.contents))
    return { stack: noComposeSetting, services: new Map(), volumes: new Map(), warnings: [] };
  const read = (path: readonly string[]): ComposeSetting | undefined => {
    const node = document.getIn([...path, 'x-holdfast'], true);
    return node === undefined
      ? undefined
      : readNode(request, { node, document, lines, file, path: [...path, 'x-holdfast'] }).value;
  };
  const below = (section: string): Map<string, ComposeSetting> => {
    const found = new Map<string, ComposeSetting>();
    const entries = document.get(section);
    if (!isMap(entries)) return found;
    for (const { key } of entries.items) {
      const name = String(isScalar(key) ? key.value : key);
      const own = isMap(entries.get(name)) ? read([section, name]) : undefined;
      if (own !== undefined) found.set(name, own);
    }
    return found;
  };
  return {
    stack: read([]) ?? noComposeSetting,
    services: below('services'),
    volumes: below('volumes'),
    warnings: [],
  };
}

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

/** Undefined when it is missing, unreadable, or no regular file: the engine may run on another machine. */
async function readSmall(file: string): Promise<string | undefined> {
  try {
    // A label may name a pipe or a device: opened with O_PATH first, and read only as a regular file.
    await using named = await open(file, openFlag.path);
    if (!(await named.stat()).isFile()) return undefined;
    await using handle = await open(`/proc/self/fd/${named.fd}`, constants.O_RDONLY | constants.O_NONBLOCK);
    const status = await handle.stat();
    if (!status.isFile()) return undefined;
    if (status.size > mostBytes)
      throw new AppError('usage', `The Compose file ${quote(file)} is too large to be looked into`);
    return await handle.readFile('utf8');
  } catch (error) {
    if (errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}
