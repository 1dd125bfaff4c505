import { AppError } from '../../model/errors.ts';
import { idWords } from '../blob-index/blob-print.ts';
import type { BlobTables } from '../blob-index/blob-tables.ts';
import type { BlobPlace } from '../pack/pack-header.ts';
import type { FailedBlob, Transfer } from './transfer.ts';

export interface BlobCopierOptions {
  readonly transfer: Transfer;
  /** The target's blobs; those being copied are claimed in it. */
  readonly targetTables: BlobTables;
  readonly onBytes: () => void;
}

/** This many blobs are collected before copying, so that blobs of one pack are read together. */
const maxPendingBlobs = 10_000;
const maxPendingBytes = 64 * 1024 * 1024;
/** Approximate size of a task, so that the work is spread evenly. */
const taskBytes = 8 * 1024 * 1024;

/** Copies blobs that the target lacks, each once, with a bound on the copies under way. */
export class BlobCopier {
  readonly #options: BlobCopierOptions;
  readonly #pending = new Map<string, BlobPlace[]>();
  readonly #running = new Set<Promise<void>>();
  #pendingBlobs = 0;
  #pendingBytes = 0;
  #failure: Error | undefined;
  /** Blobs that could not be copied, by type and id. */
  readonly lost = new Map<string, FailedBlob>();
  copied = 0;
  bytes = 0;

  constructor(options: BlobCopierOptions) {
    this.#options = options;
  }

  /** `integrity` for a blob that could not be copied before. */
  add(packId: string, blob: BlobPlace): void {
    const lost = this.lost.size > 0 && this.lost.get(`${blob.type} ${blob.id}`);
    if (lost) throw new AppError('integrity', lost.message);
    const { targetTables } = this.#options;
    if (!targetTables.claim(idWords(blob.id), blob.type)) return;
    targetTables.grow();
    const blobs = this.#pending.get(packId);
    if (blobs) blobs.push(blob);
    else this.#pending.set(packId, [blob]);
    this.#pendingBlobs++;
    this.#pendingBytes += blob.length;
  }

  /** Copies the collected blobs when there are enough. */
  async breathe(): Promise<void> {
    if (this.#pendingBlobs >= maxPendingBlobs || this.#pendingBytes >= maxPendingBytes) await this.#start();
  }

  /** On return every added blob is durable, or lost. */
  async finish(): Promise<void> {
    await this.#start();
    await Promise.all(this.#running);
    this.#throwIfFailed();
    await this.#options.transfer.flush();
  }

  async #start(): Promise<void> {
    const pending = [...this.#pending];
    this.#pending.clear();
    this.#pendingBlobs = 0;
    this.#pendingBytes = 0;
    for (const [packId, blobs] of pending) {
      for (const part of partsOf(blobs)) {
        while (this.#running.size >= this.#options.transfer.lanes) await Promise.race(this.#running);
        this.#throwIfFailed();
        const task = this.#copy(packId, part).finally(() => this.#running.delete(task));
        this.#running.add(task);
      }
    }
  }

  /** Never rejects: the next call throws what went wrong. */
  async #copy(packId: string, blobs: readonly BlobPlace[]): Promise<void> {
    try {
      const { copied, bytes, failed } = await this.#options.transfer.run(packId, blobs);
      this.copied += copied;
      this.bytes += bytes;
      for (const blob of failed) this.lost.set(`${blob.type} ${blob.id}`, blob);
      this.#options.onBytes();
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

function partsOf(blobs: readonly BlobPlace[]): BlobPlace[][] {
  const parts: BlobPlace[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const blob of blobs.toSorted((a, b) => a.offset - b.offset)) {
    if (bytes >= taskBytes) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)?.push(blob);
    bytes += blob.length;
  }
  return parts;
}
