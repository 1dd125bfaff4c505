import path from 'node:path';
import { readDocuments } from '../../compose/index.ts';

/** The files that a Compose file names. */
export interface ComposeReferences {
  /** Absolute paths of files that a later `docker compose up` reads. */
  readonly files: readonly string[];
  /** Those of them that are Compose files themselves. */
  readonly composeFiles: readonly string[];
  /** As written: with a variable in them, only Compose knows the files. */
  readonly unknown: readonly string[];
}

/**
 * The files that `env_file`, `configs`, `secrets`, `include` and `extends` name, relative to the project's
 * folder. None for invalid YAML or unknown content, which must not prevent a backup. Pure.
 */
export function composeReferences(content: string, folder: string): ComposeReferences {
  const named: string[] = [];
  const compose: string[] = [];
  for (const document of tryToRead(content)) {
    for (const section of ['configs', 'secrets'])
      for (const one of valuesOf(document, section)) named.push(...textsOf(fieldOf(one, 'file')));
    for (const service of valuesOf(document, 'services')) {
      named.push(...pathsOf(fieldOf(service, 'env_file')));
      compose.push(...textsOf(fieldOf(fieldOf(service, 'extends'), 'file')));
    }
    const includes = fieldOf(document, 'include');
    compose.push(...pathsOf(includes));
    if (Array.isArray(includes)) for (const one of includes) named.push(...pathsOf(fieldOf(one, 'env_file')));
  }
  const isKnown = (text: string): boolean => !text.includes('$');
  // What is fetched from elsewhere is no file of this machine.
  const isLocal = (text: string): boolean => isKnown(text) && !/^[a-z][a-z0-9+.-]*:/i.test(text);
  const absolute = (texts: readonly string[]): string[] =>
    texts.filter(isLocal).map((text) => path.resolve(folder, text));
  const composeFiles = absolute(compose);
  const all = [...named, ...compose];
  return {
    files: [...new Set([...absolute(named), ...composeFiles])],
    composeFiles: [...new Set(composeFiles)],
    unknown: [...new Set(all.filter((text) => !isKnown(text)))],
  };
}

/** A file that cannot be parsed is saved all the same, and names no others. */
function tryToRead(content: string): readonly unknown[] {
  try {
    return readDocuments(content);
  } catch {
    return [];
  }
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined;
}

function valuesOf(value: unknown, name: string): unknown[] {
  const section = fieldOf(value, name);
  return typeof section === 'object' && section !== null ? Object.values(section) : [];
}

/** A text, a list of texts, or a list of objects with a `path`, which may be a list too. */
function pathsOf(value: unknown): string[] {
  const list = Array.isArray(value) ? value : [value];
  return list.flatMap((one) => [...textsOf(one), ...textsOf(fieldOf(one, 'path'))]);
}

function textsOf(value: unknown): string[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  return list.filter((one): one is string => typeof one === 'string' && one !== '');
}
