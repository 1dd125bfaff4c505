import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { paceBytes } from '../pace.ts';
import type { Pace } from '../store.ts';

/** Sends a body and ends the request. Its failures reach whoever listens to the stream. */
export async function writeBody(
  stream: Writable,
  body: Uint8Array | undefined,
  { pace, signal }: { readonly pace?: Pace | undefined; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  if (body === undefined || pace === undefined) {
    stream.end(body);
    return;
  }
  for (let at = 0; at < body.length; at += paceBytes) {
    const piece = body.subarray(at, at + paceBytes);
    await pace.take(piece.length, signal);
    if (stream.destroyed) return;
    // One that was destroyed meanwhile never drains.
    if (!stream.write(piece)) await Promise.race([once(stream, 'drain'), once(stream, 'close')]);
  }
  stream.end();
}
