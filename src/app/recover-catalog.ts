import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import type { Catalog, CatalogEssentials, ManagedVolumeRecord } from '../catalog/catalog.ts';
import { namesIn } from '../lib/folder-names.ts';
import { amount } from '../model/size.ts';
import { quote } from '../model/quote.ts';
import { repositoryKeys, takeOver } from '../repositories/index.ts';
import { copyFile, readCatalogCopy } from './catalog-copy.ts';

/**
 * Fills a new catalog in an old state folder: the one before was lost. Returns, for display, what it was
 * rebuilt from and what is missing; undefined for a catalog that was not lost.
 */
export async function recoverCatalog(stateDir: string, catalog: Catalog): Promise<string | undefined> {
  const copy = await readCatalogCopy(stateDir);
  try {
    return await recoverFrom(copy, { stateDir, catalog });
  } catch (error) {
    // A damaged or foreign copy must not keep a new catalog from being used.
    if (copy === undefined) throw error;
    return await recoverFrom(undefined, { stateDir, catalog });
  }
}

async function recoverFrom(
  copy: CatalogEssentials | undefined,
  { stateDir, catalog }: { readonly stateDir: string; readonly catalog: Catalog },
): Promise<string | undefined> {
  if (copy !== undefined) {
    if (copy.stateId === catalog.stateId() || !catalog.essentials.isFresh()) return undefined;
  } else if (!catalog.essentials.isFresh()) return undefined;
  const keys = await repositoryKeys(stateDir);
  const folders = await namesIn(path.join(stateDir, 'volumes'));
  if (copy === undefined && keys.length === 0 && folders.length === 0) return undefined;
  const found = volumesIn(stateDir, { folders, known: copy?.volumes ?? [] });
  const base = copy ?? nothingKnown(stateDir, { keys, stateId: catalog.stateId() });
  const essentials = { ...base, volumes: found.volumes };
  if (!catalog.essentials.restore(essentials)) return undefined;
  return describe(stateDir, { essentials, copy, keys, unclear: found.unclear });
}

/** Without a copy, only a repository at the usual place whose key is there is certain. */
function nothingKnown(
  stateDir: string,
  { keys, stateId }: { readonly keys: readonly string[]; readonly stateId: string },
): CatalogEssentials {
  const location = path.join(stateDir, 'repository');
  const isThere = keys.includes('default.key') && existsSync(path.join(location, 'config'));
  const repository = {
    name: 'default',
    location,
    repositoryId: '',
    passwordReference: `file:${path.join(stateDir, 'keys', 'default.key')}`,
    isDefault: true,
  };
  return {
    stateId,
    repositories: isThere ? [repository] : [],
    identities: [],
    origins: [],
    protectedVolumes: [],
    volumes: [],
    anomalies: [],
    forgotten: [],
  };
}

/**
 * The volumes in the state folder: the copy's, and others whose folder holds only data, which can only be
 * plain ones. A possible mount point or image of another driver is only reported.
 */
function volumesIn(
  stateDir: string,
  { folders, known }: { readonly folders: readonly string[]; readonly known: readonly ManagedVolumeRecord[] },
): { readonly volumes: readonly ManagedVolumeRecord[]; readonly unclear: readonly string[] } {
  const volumes = known.filter(({ name }) => folders.includes(name));
  const unclear: string[] = [];
  for (const name of folders) {
    if (volumes.some((record) => record.name === name)) continue;
    const content = listOf(path.join(stateDir, 'volumes', name));
    const data = content.includes('_data') ? listOf(path.join(stateDir, 'volumes', name, '_data')) : [];
    if (data.length > 0 && content.length === 1) volumes.push(plainVolume(name));
    else if (content.length > 0) unclear.push(name);
  }
  return { volumes, unclear };
}

function listOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function plainVolume(name: string): ManagedVolumeRecord {
  const createdAt = new Date().toISOString();
  return { name, driver: 'local', createdAt, labels: {}, options: {}, anonymous: false };
}

interface Recovered {
  readonly essentials: CatalogEssentials;
  readonly copy: CatalogEssentials | undefined;
  readonly keys: readonly string[];
  readonly unclear: readonly string[];
}

function describe(stateDir: string, { essentials, copy, keys, unclear }: Recovered): string {
  const { repositories, volumes } = essentials;
  const from = copy === undefined ? 'what lies in the state folder' : quote(copyFile(stateDir));
  const lines = [
    `The catalog ${quote(path.join(stateDir, 'catalog.db'))} was lost, and is made anew from ${from}: ${amount(repositories.length, 'repository', 'repositories')}, ${amount(volumes.length, 'volume')} of Holdfast's own. What policies have done and which snapshots are verified is not known any more.`,
  ];
  if (copy === undefined && keys.length > repositories.length) lines.push(takeOver(stateDir, keys));
  if (copy === undefined && volumes.length > 0)
    lines.push('Labels of volumes are lost: "holdfast volume label" sets them again.');
  if (unclear.length > 0)
    lines.push(
      `What driver these were on is not known: ${unclear.map(quote).join(', ')}. Their folders stay in "volumes".`,
    );
  return lines.join(' ');
}
