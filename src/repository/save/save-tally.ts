import { type ByteString, toText } from '../../model/byte-string.ts';
import type { SaveProblem, SnapshotSummary } from '../../model/snapshot.ts';
import type { Progress } from '../types.ts';
import { NotKeptCounter } from './not-kept.ts';
import type { FileChange, FileChanges } from './file-changes.ts';
import { grainOf } from './time-grain.ts';

/** Counts what a backup sees, and reports progress at most ten times a second. */
export class SaveTally {
  readonly problems: SaveProblem[] = [];
  readonly notKept = new NotKeptCounter();
  readonly #onProgress: ((progress: Progress) => void) | undefined;
  readonly #expected: { readonly files: number; readonly bytes: number } | undefined;
  readonly #counts = { new: 0, changed: 0, unmodified: 0 };
  #directories = 0;
  #others = 0;
  readonly #changes: FileChanges | undefined;
  #bytes = 0;
  #lastTold = 0;
  /** The first path that was written to while it had to be still. */
  written: ByteString | undefined;
  /** What was read because it was new or changed. */
  readonly read = { files: 0, bytes: 0 };
  /** How many files and directories may be of a later moment than the rest. */
  late = 0;
  readonly #cutAtMs: (() => number | undefined) | undefined;

  constructor(
    onProgress: ((progress: Progress) => void) | undefined,
    expected: { readonly files: number; readonly bytes: number } | undefined,
    {
      changes,
      cutAtMs,
    }: { changes?: FileChanges | undefined; cutAtMs?: (() => number | undefined) | undefined } = {},
  ) {
    this.#cutAtMs = cutAtMs;
    this.#onProgress = onProgress;
    this.#expected = expected;
    this.#changes = changes;
  }

  countFile(change: FileChange, sizeBytes: number, path: string): void {
    if (change !== 'unmodified') {
      this.read.files++;
      this.read.bytes += sizeBytes;
    }
    this.#counts[this.#changes?.since(path, change) ?? change]++;
    this.#bytes += sizeBytes;
    this.#tell(path);
  }

  /** Counts bytes of a large file that is not counted as a file yet. */
  countBytes(bytes: number, path: string): void {
    this.read.bytes += bytes;
    this.#bytes += bytes;
    this.#tell(path);
  }

  /** The same for bytes that were read and found unchanged. */
  countKnownBytes(bytes: number, path: string): void {
    this.#bytes += bytes;
    this.#tell(path);
  }

  /** True when the data is no longer still. */
  get isLate(): boolean {
    return this.#cutAtMs?.() !== undefined;
  }

  /** Content was read from the original. Counted when the data was no longer still by then. */
  noteRead(): void {
    if (this.isLate) this.late++;
  }

  /**
   * A directory was listed, or an entry without content examined. Counted when it changed after the still
   * moment.
   */
  noteSeen(ctimeNs: bigint): void {
    const cutAtMs = this.#cutAtMs?.();
    if (cutAtMs !== undefined && ctimeNs >= BigInt(Math.floor(cutAtMs) - grainOf(ctimeNs)) * 1_000_000n)
      this.late++;
  }

  countDirectory(): void {
    this.#directories++;
  }

  countOther(): void {
    this.#others++;
  }

  get files(): number {
    return this.#counts.new + this.#counts.changed + this.#counts.unmodified;
  }

  summary(
    stored: { readonly addedBytes: number; readonly storedBytes: number },
    durationMs: number,
  ): SnapshotSummary {
    return {
      files: this.files,
      directories: this.#directories,
      others: this.#others,
      bytes: this.#bytes,
      filesNew: this.#counts.new,
      filesChanged: this.#counts.changed,
      filesUnmodified: this.#counts.unmodified,
      bytesAdded: stored.addedBytes,
      bytesStored: stored.storedBytes,
      durationMs,
    };
  }

  #tell(path: string): void {
    if (!this.#onProgress) return;
    const now = performance.now();
    if (now - this.#lastTold < 100) return;
    this.#lastTold = now;
    this.#onProgress({
      phase: 'saving',
      filesDone: this.files,
      filesTotal: this.#expected?.files,
      bytesDone: this.#bytes,
      bytesTotal: this.#expected && Math.max(this.#expected.bytes, this.#bytes),
      current: toText(path),
    });
  }
}
