import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { ParentDirectory } from './parent-directory.ts';
import type { KnownTrees } from './parent-trees.ts';
import { grainOf } from './time-grain.ts';

/** Unpacking a smaller tree takes negligible time. */
const largeTreeBytes = 128 * 1024;
const maxOpenBytes = 48 * 1024 * 1024;

/**
 * The trees of a live pass. They are not stored yet, and the next pass over the same data needs them in
 * memory, since containers stand still for it.
 */
export class LiveTrees implements KnownTrees {
  readonly #beganAtMs: number;
  readonly #before: LiveTrees | undefined;
  readonly #trees = new Map<string, { readonly packed: Buffer; readonly sizeBytes: number }>();
  /** Not packed yet. */
  readonly #fresh = new Map<string, Buffer>();
  readonly #open = new Map<string, ParentDirectory>();

  /** `before` holds the trees of the previous pass; only new trees are kept here. */
  constructor(beganAtMs: number, before?: LiveTrees) {
    this.#beganAtMs = beganAtMs;
    this.#before = before;
  }

  /**
   * Trees are repetitive and compress to a tenth: for a million files they take about as many bytes as a few
   * workers.
   */
  keep(id: string, text: Uint8Array): void {
    if (this.#trees.has(id)) return;
    this.#trees.set(id, { packed: zstdCompressSync(text), sizeBytes: text.length });
  }

  /** The same while containers are still: `packFresh` compresses the tree later. */
  keepFresh(id: string, text: Uint8Array): void {
    if (!this.#trees.has(id)) this.#fresh.set(id, Buffer.from(text));
  }

  packFresh(): void {
    for (const [id, text] of this.#fresh) this.keep(id, text);
    this.#fresh.clear();
  }

  /** Unpacks the large trees before containers stand still. A database of 2 GB has one of 4 MB. */
  openLarge(): void {
    this.#before?.openLarge();
    let openBytes = 0;
    for (const [id, { packed, sizeBytes }] of this.#trees) {
      if (sizeBytes < largeTreeBytes || openBytes + sizeBytes > maxOpenBytes) continue;
      openBytes += sizeBytes;
      this.#open.set(id, new ParentDirectory(id, zstdDecompressSync(packed)));
    }
  }

  async load(treeId: string | undefined): Promise<ParentDirectory | undefined> {
    if (treeId === undefined) return undefined;
    const open = this.#open.get(treeId);
    this.#open.delete(treeId);
    if (open !== undefined) return open;
    const kept = this.#trees.get(treeId);
    if (kept === undefined) return await this.#before?.load(treeId);
    return new ParentDirectory(treeId, zstdDecompressSync(kept.packed));
  }

  /** A write within the same clock tick as an earlier one leaves the time unchanged. */
  trusts(ctimeNs: bigint): boolean {
    return ctimeNs !== 0n && ctimeNs < BigInt(this.#beganAtMs - grainOf(ctimeNs)) * 1_000_000n;
  }

  /** This backup has stored them, or found them in the repository. */
  hasBlobs(): boolean {
    return true;
  }
}
