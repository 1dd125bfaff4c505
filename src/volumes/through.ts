import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Runs bytes through a stream. Both ends are closed when this is left, for whatever reason. */
export async function* through(
  bytes: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncGenerator<Uint8Array, void, undefined> {
  const piping = pipeline(bytes, transform);
  // It is awaited below; until then its failure reaches us through the transform.
  piping.catch(() => undefined);
  try {
    for await (const chunk of transform) yield chunk as Uint8Array;
    await piping;
  } finally {
    transform.destroy();
    await piping.catch(() => undefined);
  }
}
