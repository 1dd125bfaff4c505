import { AppError } from '../../model/errors.ts';
import type { BlobIndex, LocatedBlob } from '../blob-index/blob-index.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { decodeTree, type TreeNode } from '../format/node.ts';
import type { BlobType } from '../pack/pack-header.ts';
import type { StoreOptions } from '../stores/store.ts';
import { loadPartOfPack, openBlob } from './stored-blobs.ts';

/** Reads single blobs; every one is verified against its id. */
export class BlobReader {
  readonly #codec: FileCodec;
  readonly #index: BlobIndex;

  constructor(codec: FileCodec, index: BlobIndex) {
    this.#codec = codec;
    this.#index = index;
  }

  async read(id: string, type: BlobType, options?: StoreOptions): Promise<Buffer> {
    const place = this.locate(id, type);
    const sealed = await loadPartOfPack(
      this.#codec.store,
      place.packId,
      { offset: place.offset, length: place.length },
      type === 'tree' ? { ...options, holds: 'trees' } : options,
    );
    return openBlob(this.#codec, { id, sealed, place });
  }

  async readTree(id: string, options?: StoreOptions): Promise<TreeNode[]> {
    return decodeTree(await this.read(id, 'tree', options));
  }

  locate(id: string, type: BlobType): LocatedBlob {
    const place = this.#index.find(id, type);
    if (!place) {
      throw new AppError(
        'integrity',
        `The ${type} blob "${id.slice(0, 8)}" is missing in repository "${this.#codec.store.location}"`,
        {
          hint: 'Run "holdfast check" to learn what is damaged.',
        },
      );
    }
    return place;
  }
}
