import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Catalog, CatalogEssentials } from '../catalog/catalog.ts';
import { writeDurably } from '../lib/durable-file.ts';
import { errnoOf } from '../model/errors.ts';

/**
 * The essentials for rebuilding a lost catalog; undefined when there is no copy, or none that can be read.
 */
export async function readCatalogCopy(stateDir: string): Promise<CatalogEssentials | undefined> {
  try {
    return parseCopy(await readFile(copyFile(stateDir), 'utf8'));
  } catch (error) {
    if (errnoOf(error) === undefined && !(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

/**
 * Writes the copy when the essentials changed. A state folder that cannot be written keeps the old copy. The
 * last write need not be durable, but for a new repository: only the copy says where it is.
 */
export async function keepCatalogCopy(stateDir: string, catalog: Catalog): Promise<void> {
  try {
    const before = await readFile(copyFile(stateDir), 'utf8').catch(() => undefined);
    if (before !== undefined && !catalog.essentials.hasWritten()) return;
    const essentials = catalog.essentials.read();
    const content = `${JSON.stringify(essentials)}\n`;
    if (content === before) return;
    const sync = before === undefined || placesIn(before) !== placesIn(content);
    await writeDurably(copyFile(stateDir), content, { sync });
  } catch {
    // The catalog has it all. Errors of the folder or the catalog are for the work itself to report.
  }
}

/** Where repositories are; undefined for a copy that cannot be read, such as one that a power cut emptied. */
function placesIn(text: string): string | undefined {
  try {
    return JSON.stringify(parseCopy(text)?.repositories);
  } catch {
    return undefined;
  }
}

export function copyFile(stateDir: string): string {
  return path.join(stateDir, 'catalog.json');
}

function parseCopy(text: string): CatalogEssentials | undefined {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) return undefined;
  const lists = [
    'repositories',
    'identities',
    'origins',
    'protectedVolumes',
    'volumes',
    'anomalies',
    'forgotten',
  ];
  const isWhole = lists.every((name) => Array.isArray((value as Record<string, unknown>)[name]));
  return isWhole && typeof (value as { stateId?: unknown }).stateId === 'string'
    ? (value as CatalogEssentials)
    : undefined;
}
