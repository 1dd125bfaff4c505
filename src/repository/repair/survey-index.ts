import { hash } from 'node:crypto';
import { isAppError } from '../../model/errors.ts';
import { type IndexedPack, loadIndexFile } from '../blob-index/index-file.ts';
import { type BlobPlace, encodePackHeader, packSize } from '../pack/pack-header.ts';
import { type RepairWork, tellProgress, throwIfStopped } from './repair-work.ts';

/** The index files compared with the stored packs. Holds no blobs: one index file at a time is in memory. */
export interface IndexSurvey {
  /** Packs whose index entry agrees with their size. */
  readonly sound: ReadonlyMap<string, SoundPack>;
  /** Packs with an impossible entry, or contradictory ones. */
  readonly doubtful: ReadonlySet<string>;
  /** Packs that are indexed but not stored. */
  readonly missing: ReadonlySet<string>;
  readonly damagedFiles: readonly string[];
  /** Index files that name missing packs, or packs that others name too. */
  readonly staleFiles: ReadonlySet<string>;
}

interface SoundPack {
  /** The digest of its index entry. */
  readonly digest: string;
  /** The first index file with this entry. */
  readonly file: string;
}

export async function surveyIndex(
  work: RepairWork,
  sizes: ReadonlyMap<string, number>,
): Promise<IndexSurvey> {
  const damagedFiles: string[] = [];
  const survey = new Survey(sizes);
  const files = await work.codec.store.list('index', { signal: work.signal });
  for (const [i, { name }] of files.entries()) {
    throwIfStopped(work);
    tellProgress(work, { phase: 'reading indexes', done: i, total: files.length });
    const packs = await loadOrUndefined(work, name);
    if (packs) survey.add(name, packs);
    else damagedFiles.push(name);
  }
  const { sound, doubtful, missing, staleFiles } = survey;
  return { sound, doubtful, missing, staleFiles, damagedFiles };
}

class Survey {
  readonly #sizes: ReadonlyMap<string, number>;
  readonly sound = new Map<string, SoundPack>();
  readonly doubtful = new Set<string>();
  readonly missing = new Set<string>();
  readonly staleFiles = new Set<string>();

  constructor(sizes: ReadonlyMap<string, number>) {
    this.#sizes = sizes;
  }

  add(file: string, packs: readonly IndexedPack[]): void {
    if (packs.length === 0) this.staleFiles.add(file);
    for (const pack of packs) this.#addPack(file, pack);
  }

  #addPack(file: string, { id, blobs }: IndexedPack): void {
    const size = this.#sizes.get(id);
    const known = this.sound.get(id);
    if (size === undefined) {
      this.missing.add(id);
      this.staleFiles.add(file);
    } else if (packSize(blobs) !== size || !areAdjacent(blobs)) {
      this.doubtful.add(id);
    } else if (!known) {
      this.sound.set(id, { digest: digestOf(blobs), file });
    } else {
      this.staleFiles.add(file);
      if (known.digest !== digestOf(blobs)) this.doubtful.add(id);
    }
  }
}

async function loadOrUndefined(work: RepairWork, name: string): Promise<IndexedPack[] | undefined> {
  try {
    return await loadIndexFile(work.codec, name, { signal: work.signal });
  } catch (error) {
    if (isAppError(error, 'not-found')) return [];
    if (isAppError(error, 'integrity')) return undefined;
    throw error;
  }
}

/** In a pack, each blob begins where the previous one ends. */
function areAdjacent(blobs: readonly BlobPlace[]): boolean {
  let end = 0;
  for (const { offset, length } of byOffset(blobs)) {
    if (offset !== end) return false;
    end += length;
  }
  return true;
}

/** Equal for the same blobs in the same places. */
export function digestOf(blobs: readonly BlobPlace[]): string {
  return hash('sha1', encodePackHeader(byOffset(blobs)), 'base64');
}

function byOffset(blobs: readonly BlobPlace[]): readonly BlobPlace[] {
  const isSorted = blobs.every((blob, i) => i === 0 || (blobs[i - 1]?.offset ?? 0) <= blob.offset);
  return isSorted ? blobs : blobs.toSorted((a, b) => a.offset - b.offset);
}
