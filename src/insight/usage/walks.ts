import type { ByteString } from '../../model/byte-string.ts';
import type { TreeSize } from '../../volumes/index.ts';
import type { Measured } from './measure-worker.ts';
import type { Location } from './location.ts';
import type { FoundPlace } from './plan-write.ts';
import type { SizeReader } from './size-reader.ts';

/** The share of the time that walks may take, and the least time between two rounds of them. */
const walkedPart = 1 / 100;
const walkAgainMs = 15 * 60_000;

/** Walks of what cannot be watched, one after the other beside the looks. New ones do not wait for a round. */
export class Walks {
  readonly #reader: SizeReader;
  /** What has been walked, with the size until it is taken. */
  readonly #walked = new Map<ByteString, (TreeSize & { readonly atMs: number }) | undefined>();
  #running: Promise<void> | undefined;
  #roundMs = 0;

  constructor(reader: SizeReader) {
    this.#reader = reader;
  }

  /** The size of a path, where it was walked since it was last taken. */
  take(path: ByteString): NonNullable<FoundPlace['size']> | undefined {
    const size = this.#walked.get(path);
    if (size === undefined) return undefined;
    this.#walked.set(path, undefined);
    return { ...size, way: 'walked' };
  }

  /** Begins to walk those that are due, unless it is at work. Forgets all others. */
  begin(locations: readonly Location[], signal: AbortSignal): void {
    const asked = new Set(locations.map(({ path }) => path));
    for (const path of this.#walked.keys()) if (!asked.has(path)) this.#walked.delete(path);
    if (this.#running !== undefined) return;
    const isRound = this.#roundMs <= performance.now();
    const due = isRound ? locations : locations.filter(({ path }) => !this.#walked.has(path));
    if (due.length === 0) return;
    this.#running = this.#round(due, { isRound, signal }).finally(() => (this.#running = undefined));
  }

  async #round(
    locations: readonly Location[],
    { isRound, signal }: { readonly isRound: boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    const startMs = performance.now();
    for (const location of locations) {
      if (signal.aborted) return;
      let found: Measured | undefined;
      try {
        [found] = await this.#reader.read('walked', [location], signal);
      } catch {
        // Its process has ended: its last size stays, with the reason why it is not watched.
      }
      const size =
        found !== undefined && found !== null && 'bytes' in found
          ? { ...found, atMs: Date.now() }
          : undefined;
      this.#walked.set(location.path, size);
    }
    // Nothing is walked for a long while now.
    this.#reader[Symbol.dispose]();
    const nowMs = performance.now();
    if (isRound) this.#roundMs = nowMs + Math.max(walkAgainMs, (nowMs - startMs) / walkedPart);
  }

  async ended(): Promise<void> {
    await this.#running;
    this.#reader[Symbol.dispose]();
  }
}
