import { randomBytes } from 'node:crypto';
import type { ByteString } from '../../model/byte-string.ts';

const changes = ['unmodified', 'new', 'changed'] as const;
export type FileChange = (typeof changes)[number];

/** Each place is two numbers of 32 bits. */
const firstPlaces = 1024;

/**
 * How files changed since the parent snapshot, over several passes. Keeps eight bytes for each new or changed
 * file, a hash of its path, so that millions of changes can be counted. A hash collision makes an unmodified
 * file count as changed, never a changed one as unmodified.
 */
export class FileChanges {
  readonly #hasParent: boolean;
  readonly #seed = randomBytes(8);
  #places = new Uint32Array(2 * firstPlaces);
  #taken = 0;

  constructor(hasParent: boolean) {
    this.#hasParent = hasParent;
  }

  /** The change since the parent snapshot. `change` is the one since the last pass. */
  since(path: ByteString, change: FileChange): FileChange {
    if (!this.#hasParent) return 'new';
    const { place, low, high } = this.#find(path);
    const before = changes[(this.#places[place + 1] ?? 0) & 3] ?? 'unmodified';
    if (before !== 'unmodified' || change === 'unmodified') return before;
    this.#places[place] = low;
    this.#places[place + 1] = high | changes.indexOf(change);
    if (++this.#taken * 4 > this.#places.length) this.#grow();
    return change;
  }

  /** The place of the path, or the free one for it. */
  #find(path: ByteString): { readonly place: number; readonly low: number; readonly high: number } {
    let low = this.#seed.readUInt32LE(0);
    let high = this.#seed.readUInt32LE(4);
    for (let i = 0; i < path.length; i++) {
      const byte = path.charCodeAt(i);
      low = Math.imul(low ^ byte, 2_654_435_761);
      high = Math.imul(high ^ byte, 1_597_334_677);
    }
    const mixedLow = (mix(low, 2_246_822_507) ^ mix(high, 3_266_489_909)) >>> 0;
    const mixedHigh = ((mix(high, 2_246_822_507) ^ mix(low, 3_266_489_909)) & ~3) >>> 0;
    return { place: placeOf(this.#places, mixedLow, mixedHigh), low: mixedLow, high: mixedHigh };
  }

  #grow(): void {
    const old = this.#places;
    this.#places = new Uint32Array(2 * old.length);
    for (let i = 0; i < old.length; i += 2) {
      const [low = 0, high = 0] = [old[i], old[i + 1]];
      if ((high & 3) === 0) continue;
      const place = placeOf(this.#places, low, (high & ~3) >>> 0);
      this.#places[place] = low;
      this.#places[place + 1] = high;
    }
  }
}

/**
 * The place of this hash in the table, or the free one for it. The two lowest bits of `high` are not
 * compared.
 */
function placeOf(places: Uint32Array, low: number, high: number): number {
  const last = places.length - 1;
  for (let place = (low * 2) % places.length; ; place = (place + 2) & last) {
    const found = places[place + 1] ?? 0;
    if ((found & 3) === 0) return place;
    if (places[place] === low && (found & ~3) >>> 0 === high) return place;
  }
}

function mix(lane: number, by: number): number {
  return Math.imul(lane ^ (lane >>> 15), by);
}
