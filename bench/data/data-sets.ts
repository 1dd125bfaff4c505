import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeDatabase } from './make-database.ts';
import { makeMedia } from './make-media.ts';
import { makeTree } from './make-tree.ts';

export const dataSetNames = ['files', 'database', 'media'] as const;
export type DataSetName = (typeof dataSetNames)[number];

/** The size of each at scale 1. */
const full = { files: 118_000, fileBytes: 2.6e9, databaseBytes: 2e9, mediaBytes: 1e9 };

export interface DataOptions {
  readonly seed: string;
  readonly scale: number;
  readonly signal: AbortSignal;
}

/** About how many bytes `makeDataSet` will write for all of them. */
export function plannedBytes(scale: number): number {
  return (full.fileBytes + full.databaseBytes + full.mediaBytes) * scale;
}

/**
 * Creates a data set as `folder/NAME`. The same seed and scale give the same names and bytes on every
 * machine.
 */
export async function makeDataSet(name: DataSetName, folder: string, options: DataOptions): Promise<void> {
  const { seed, scale, signal } = options;
  const root = join(folder, name);
  mkdirSync(root, { recursive: true });
  switch (name) {
    case 'files': {
      const files = Math.max(1, Math.round(full.files * scale));
      return await makeTree(root, seed, { files, bytes: full.fileBytes * scale, signal });
    }
    case 'database':
      return await makeDatabase(root, seed, { bytes: full.databaseBytes * scale, signal });
    case 'media':
      return await makeMedia(root, seed, { bytes: full.mediaBytes * scale, signal });
  }
}
