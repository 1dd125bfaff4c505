import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { ParentDirectory } from './parent-directory.ts';
import type { KnownTrees } from './parent-trees.ts';

/** A clock tick of the kernel's is at most a hundredth of a second. */
const grainMs = 100;
/** Of file systems whose times are whole seconds. */
const coarseGrainMs = 2000;

/**
 * The trees of data that was just gone through while it was in use. They are not stored anywhere yet, and the next pass
 * over the same data has to have them at hand: containers stand still for it.
 */
export class LiveTrees implements KnownTrees {
  readonly #index: BlobIndex;
  readonly #beganAtMs: number;
  readonly #trees = new Map<string, Buffer>();

  constructor(index: BlobIndex, beganAtMs: number) {
    this.#index = index;
    this.#beganAtMs = beganAtMs;
  }

  /** Trees are much alike, and shrink to a tenth: a million files need about as many bytes as a few workers. */
  keep(id: string, text: Uint8Array): void {
    if (!this.#trees.has(id)) this.#trees.set(id, zstdCompressSync(text));
  }

  async load(treeId: string | undefined): Promise<ParentDirectory | undefined> {
    const kept = treeId === undefined ? undefined : this.#trees.get(treeId);
    return kept && new ParentDirectory(treeId ?? '', zstdDecompressSync(kept));
  }

  /** Whoever writes within the same tick as a write before leaves the time as it is. */
  trusts(ctimeNs: bigint): boolean {
    const grain = ctimeNs % 1_000_000_000n === 0n ? coarseGrainMs : grainMs;
    return ctimeNs !== 0n && ctimeNs < BigInt(this.#beganAtMs - grain) * 1_000_000n;
  }

  hasBlobs(ids: readonly string[]): boolean {
    return ids.every((id) => this.#index.has(id, 'data'));
  }
}
