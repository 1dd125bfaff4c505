import { Document, type Node } from 'yaml';
import { parseFlag } from '../../model/label-reading.ts';
import { Misfit, type Reading } from '../../lib/shape.ts';
import { noSettings, settingFields, settingsOf, type VolumeSettings } from './volume-settings.ts';

export interface LabelSettings {
  readonly settings: VolumeSettings;
  /** Invalid labels, for people. They are ignored rather than preventing a backup. */
  readonly warnings: readonly string[];
}

/** Reads text labels (`schedule`, `keep.daily`) as `holdfast.yaml` would. Pure. */
export function settingsOfLabels(texts: Readonly<Record<string, string>>, owner: string): LabelSettings {
  if (Object.keys(texts).length === 0) return { settings: noSettings, warnings: [] };
  const warnings: string[] = [];
  const given: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(valuesOf(texts))) {
    const shape = settingFields[name as keyof typeof settingFields];
    const problems: string[] = [];
    const reading = readingOf((path, message) => problems.push(warning(owner, [name, ...path], message)));
    try {
      const found = shape.read(new Document(value).contents as Node, reading);
      if (problems.length === 0) given[name] = found;
    } catch (error) {
      if (!(error instanceof Misfit)) throw error;
      problems.push(warning(owner, [name], error.message));
    }
    warnings.push(...problems);
  }
  return { settings: settingsOf(given as Parameters<typeof settingsOf>[0]), warnings };
}

/** The position in a list is left out, because the label holds the whole list. */
function warning(owner: string, path: readonly string[], message: string): string {
  const label = path.filter((part) => !/^\d+$/.test(part)).join('.');
  return `The label "holdfast.${label}" of ${owner} is not understood: ${message}`;
}

/** Parses the texts: numbers, flags, lists. */
function valuesOf(texts: Readonly<Record<string, string>>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  const keep: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(texts)) {
    if (name === 'keep.tags') keep['tags'] = listOf(value, ';');
    else if (name.startsWith('keep.'))
      keep[name.slice('keep.'.length)] = /^\d+$/.test(value) ? Number(value) : value;
    else if (name === 'still-tries' && /^\d+$/.test(value)) values[name] = Number(value);
    else if (name === 'catch-up') values[name] = flagOf(value);
    else if (name === 'schedule') values[name] = listOf(value, ';');
    else if (name === 'exclude' || name === 'tags' || name === 'repositories')
      values[name] = listOf(value, ',');
    else if (Object.hasOwn(settingFields, name)) values[name] = value;
  }
  return Object.keys(keep).length > 0 ? { ...values, keep } : values;
}

function flagOf(text: string): unknown {
  try {
    return parseFlag(text);
  } catch {
    return text;
  }
}

function listOf(text: string, separator: string): string[] {
  return text
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function readingOf(onProblem: (path: readonly string[], message: string) => void): Reading {
  return {
    resolve: (node) => node as Node,
    where: () => '',
    problem: (_node, path, message) => onProblem(path, message),
    value: () => {},
    path: [],
  };
}
