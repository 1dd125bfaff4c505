import type { ComposeProject } from './compose-project.ts';

/** The options of Holdfast's own driver for a volume, as `x-holdfast` has them: `storage: {type: luks, size: 10g}`. */
export type StorageSettings =
  | { readonly options: Readonly<Record<string, string>> }
  | { readonly problem: string };

/** Undefined for a volume whose `x-holdfast` says nothing of storage. Pure. */
export function readStorage(project: ComposeProject, key: string): StorageSettings | undefined {
  const storage = valueIn(project.raw, ['volumes', key, 'x-holdfast', 'storage']);
  if (storage === undefined) return undefined;
  if (storage === null || typeof storage !== 'object' || Array.isArray(storage))
    return { problem: 'storage must be a mapping' };
  const options: [string, string][] = [];
  for (const [name, value] of Object.entries(storage)) {
    if (typeof value !== 'string' && typeof value !== 'number')
      return { problem: `storage.${name} must be a text or a number` };
    options.push([name, String(value)]);
  }
  return { options: Object.fromEntries(options) };
}

/** The value at keys of a document; undefined where one of them is missing. */
export function valueIn(document: unknown, keys: readonly string[]): unknown {
  let value = document;
  for (const key of keys) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
