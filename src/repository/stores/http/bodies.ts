import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { paceBytes } from '../pace.ts';
import type { Pace } from '../store.ts';
import type { HttpRequest } from './transport.ts';

/** The longest response of undeclared length: a list of some ten million files. */
const maxUnknownBytes = 1 << 30;

/**
 * Larger than any pack. Beyond this, memory is allocated as data arrives: a server may declare more than it
 * sends.
 */
const mostAtOnce = 256 << 20;

/**
 * Reads a response to its end. A truncated one throws. It listens at once: HTTP/2 drops a stream that has
 * ended before its data was requested.
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

/** The body length that a response to `method` declares. */
export function declaredBytes(
  method: string,
  status: number,
  length: string | undefined,
): number | undefined {
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  return length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined;
}

interface Sink {
  /** False when the body exceeds its allowed length. */
  add(chunk: Buffer): boolean;
  /** Undefined when the body is too short. */
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

/** Sends a body and ends the request. Failures reach the stream's listeners. */
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
    // A destroyed stream never drains.
    if (!stream.write(piece)) await Promise.race([once(stream, 'drain'), once(stream, 'close')]);
  }
  stream.end();
}
