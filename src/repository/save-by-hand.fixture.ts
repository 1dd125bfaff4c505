import { hash } from 'node:crypto';
import type { Snapshot } from '../model/snapshot.ts';
import { saveIndexFile } from './blob-index/index-file.ts';
import type { FileCodec } from './format/repository-file.ts';
import { loadSnapshot, saveSnapshot, snapshotOf } from './format/snapshot-file.ts';
import type { BlobType } from './pack/pack-header.ts';
import { PackWriter } from './pack/pack-writer.ts';
import { storePack } from './pack/store-pack.ts';

/** Stores blobs as they are given, so that snapshots can be made which no program would make. */
export class HandmadeSnapshot {
  readonly #codec: FileCodec;
  readonly #contents: { readonly type: BlobType; readonly content: Buffer; readonly id: string }[] = [];

  constructor(codec: FileCodec) {
    this.#codec = codec;
  }

  /** The id that the content has, or `id`, which is then a lie. */
  blob(type: BlobType, content: string | Buffer, id?: string): string {
    const bytes = Buffer.from(content as string, 'latin1');
    const name = id ?? hash('sha256', bytes);
    this.#contents.push({ type, content: bytes, id: name });
    return name;
  }

  tree(nodes: readonly object[]): string {
    return this.blob('tree', `${JSON.stringify({ nodes })}\n`);
  }

  /** A snapshot of another program, whose root is this tree. */
  async save(tree: string): Promise<Snapshot> {
    const { store, sealer, compressor } = this.#codec;
    for (const type of ['data', 'tree'] as const) {
      const writer = new PackWriter(type, { sealer, compressor });
      for (const blob of this.#contents.filter((candidate) => candidate.type === type))
        writer.add(blob.id, blob.content);
      if (writer.isEmpty) continue;
      const pack = writer.finish();
      await storePack(store, pack);
      await saveIndexFile(this.#codec, [{ id: pack.id, blobs: pack.blobs }]);
    }
    const time = new Date().toISOString();
    const id = await saveSnapshot(this.#codec, { time, tree, paths: ['/srv'], hostname: 'elsewhere' });
    return snapshotOf(id, await loadSnapshot(this.#codec, id));
  }
}
