import { type FileCodec, loadJson, saveJson } from '../format/repository-file.ts';
import type { BlobPlace } from '../pack/pack-header.ts';
import type { StoreOptions } from '../stores/store.ts';

/** What a pack holds, as an index file says it. */
export interface IndexedPack {
  readonly id: string;
  readonly blobs: readonly BlobPlace[];
}

interface IndexJson {
  readonly packs: readonly {
    readonly id: string;
    readonly blobs: readonly {
      readonly id: string;
      readonly type: 'data' | 'tree';
      readonly offset: number;
      readonly length: number;
      readonly uncompressed_length?: number;
    }[];
  }[];
}

export async function saveIndexFile(
  codec: FileCodec,
  packs: readonly IndexedPack[],
  options?: StoreOptions,
): Promise<string> {
  const json: IndexJson = {
    packs: packs.map(({ id, blobs }) => ({
      id,
      blobs: blobs.map((blob) => ({
        id: blob.id,
        type: blob.type,
        offset: blob.offset,
        length: blob.length,
        ...(blob.uncompressedLength > 0 && { uncompressed_length: blob.uncompressedLength }),
      })),
    })),
  };
  return await saveJson(codec, 'index', json, options);
}

export async function loadIndexFile(
  codec: FileCodec,
  name: string,
  options?: StoreOptions,
): Promise<IndexedPack[]> {
  const json = await loadJson<IndexJson>(codec, 'index', name, options);
  return json.packs.map(({ id, blobs }) => ({
    id,
    blobs: blobs.map((blob) => ({
      id: blob.id,
      type: blob.type,
      offset: blob.offset,
      length: blob.length,
      uncompressedLength: blob.uncompressed_length ?? 0,
    })),
  }));
}
