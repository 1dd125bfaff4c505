import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { noiseOf, randomOf } from './random.ts';

const smallestBytes = 1_000_000;
const largestBytes = 100_000_000;
const blockBytes = 4 * 2 ** 20;
const smallestCount = 4;

/** Writes incompressible files, like films and photographs. */
export async function makeMedia(
  root: string,
  seed: string,
  options: { readonly bytes: number; readonly signal: AbortSignal },
): Promise<void> {
  for (const [index, sizeBytes] of planMedia(seed, options.bytes).entries()) {
    const noise = noiseOf(`${seed}/media-${index}`);
    const file = openSync(join(root, `film-${index}.mp4`), 'wx', 0o644);
    try {
      for (let left = sizeBytes; left > 0; left -= blockBytes) {
        writeSync(file, noise(Math.min(left, blockBytes)));
        await new Promise((resolve) => setImmediate(resolve));
        options.signal.throwIfAborted();
      }
    } finally {
      closeSync(file);
    }
  }
  // Later than the others, for the reason given at `closeDirectory` in make-database.ts.
  await setTimeout(20);
  writeFileSync(join(root, 'playlist.m3u'), 'film-0.mp4\n');
}

/** Sizes between 1 and 100 MB that add up to about `bytes`; several also when that is little. */
export function planMedia(seed: string, bytes: number): number[] {
  const random = randomOf(`${seed}/media`);
  const sizes: number[] = [];
  const largest = Math.max(smallestBytes, Math.min(largestBytes, bytes / smallestCount));
  let left = bytes;
  while (left > 0) {
    const size = Math.round(smallestBytes * (largest / smallestBytes) ** random.next());
    sizes.push(Math.max(smallestBytes, Math.min(size, Math.round(left))));
    left -= size;
  }
  return sizes;
}
