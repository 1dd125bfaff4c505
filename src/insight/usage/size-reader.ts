import type { ByteString } from '../../model/byte-string.ts';
import type { Unwatched } from '../../volumes/index.ts';
import type { Measured, MeasureQuestion } from './measure-worker.ts';
import { Measuring, type MeasuringOptions } from './measuring.ts';
import type { Location } from './location.ts';

/** Why a disk is left alone, and until when: its read still hangs, or has not been given up long ago. */
export type SilentDisks = Map<ByteString | undefined, { readonly isOver: () => boolean }>;

export const silent: Unwatched = { reason: 'its disk does not answer' };
const askAgainMs = 10 * 60_000;

/** Reads what lies on disks that answer. One that does not is left alone for a while, with all that lies on it. */
export class SizeReader implements Disposable {
  readonly #silent: SilentDisks;
  readonly #measuring: Measuring;

  constructor(silentDisks: SilentDisks, options: MeasuringOptions) {
    this.#silent = silentDisks;
    this.#measuring = new Measuring(options);
  }

  async read(
    kind: MeasureQuestion['kind'],
    locations: readonly Pick<Location, 'path' | 'disk'>[],
    signal: AbortSignal,
  ): Promise<Measured[]> {
    for (;;) {
      for (const [disk, { isOver }] of this.#silent) if (isOver()) this.#silent.delete(disk);
      const asked = locations.filter(({ disk }) => !this.#silent.has(disk));
      const answer = await this.#measuring.ask(
        kind,
        asked.map(({ path }) => path),
        signal,
      );
      if ('found' in answer) {
        const found = new Map(asked.map(({ path }, index) => [path, answer.found[index] ?? null]));
        return locations.map(({ path }) => (found.has(path) ? (found.get(path) ?? null) : silent));
      }
      // The others are asked again: there are fewer disks each time.
      const untilMs = performance.now() + askAgainMs;
      this.#silent.set(asked[answer.silentAt]?.disk, {
        isOver: () => answer.hasEnded() && performance.now() > untilMs,
      });
    }
  }

  [Symbol.dispose](): void {
    this.#measuring[Symbol.dispose]();
  }
}
