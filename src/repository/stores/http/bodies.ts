import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { paceBytes } from '../pace.ts';
import type { Pace } from '../store.ts';
import type { HttpRequest } from './transport.ts';

/** The longest answer whose length is not told before: a list of some ten million files. */
const maxUnknownBytes = 1 << 30;

/** No pack is as long. Memory for more is taken as it comes: a server can declare what it never sends. */
const mostAtOnce = 256 << 20;

/**
 * Reads an answer to its end. One that ends early throws: half an answer is none. It listens at once: HTTP/2 lets a
 * stream go whose end has come before its data was asked for.
 */
export function readBody(
  stream: Readable,
  declared: number | undefined,
  { room, pace, signal }: Pick<HttpRequest, 'room' | 'pace' | 'signal'>,
): Promise<Buffer> {
  const sink =
    declared === undefined || declared > mostAtOnce
      ? growing(declared)
      : sized(room?.take(declared) ?? Buffer.allocUnsafe(declared));
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      stream.destroy();
      reject(error);
    };
    stream.on('data', (chunk: Buffer) => {
      if (!sink.add(chunk)) return fail(new Error('the answer is longer than it said'));
      if (!pace) return;
      stream.pause();
      pace.take(chunk.length, signal).then(() => stream.resume(), fail);
    });
    stream.on('end', () => {
      const body = sink.finish();
      if (body) resolve(body);
      else reject(new Error('the answer ended early'));
    });
    stream.on('error', reject);
    stream.on('close', () => reject(new Error('the connection broke')));
  });
}

/** The length that an answer to `method` declares for its body. */
export function declaredBytes(
  method: string,
  status: number,
  length: string | undefined,
): number | undefined {
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  return length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined;
}

interface Sink {
  /** False for more than there may be. */
  add(chunk: Buffer): boolean;
  /** Undefined for less than there must be. */
  finish(): Buffer | undefined;
}

function sized(buffer: Buffer): Sink {
  let done = 0;
  return {
    add(chunk) {
      if (done + chunk.length > buffer.length) return false;
      done += chunk.copy(buffer, done);
      return true;
    },
    finish: () => (done === buffer.length ? buffer : undefined),
  };
}

function growing(declared: number | undefined): Sink {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return {
    add(chunk) {
      bytes += chunk.length;
      chunks.push(chunk);
      return bytes <= (declared ?? maxUnknownBytes);
    },
    finish: () => (declared === undefined || bytes === declared ? Buffer.concat(chunks) : undefined),
  };
}

/** Sends a body and ends the request. Its failures reach the listeners of the stream. */
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
