import type { Readable } from 'node:stream';
import type { HttpRequest } from './transport.ts';

/** The longest answer whose length is not told before: a list of some ten million files. */
const maxUnknownBytes = 1 << 30;

/** Reads an answer to its end. One that ends early throws: half an answer is none. */
export async function readBody(
  stream: Readable,
  declaredBytes: number | undefined,
  { room, pace, signal }: Pick<HttpRequest, 'room' | 'pace' | 'signal'>,
): Promise<Buffer> {
  if (declaredBytes === undefined) return await readUnknown(stream, { pace, signal });
  const buffer = room?.take(declaredBytes) ?? Buffer.allocUnsafe(declaredBytes);
  let done = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (done + chunk.length > declaredBytes) throw new Error('the answer is longer than it said');
    await pace?.take(chunk.length, signal);
    done += chunk.copy(buffer, done);
  }
  if (done < declaredBytes) throw new Error('the answer ended early');
  return buffer;
}

async function readUnknown(
  stream: Readable,
  { pace, signal }: Pick<HttpRequest, 'pace' | 'signal'>,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    await pace?.take(chunk.length, signal);
    bytes += chunk.length;
    if (bytes > maxUnknownBytes) throw new Error('the answer does not end');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The length that an answer to `method` declares for its body. */
export function declaredBytes(method: string, status: number, length: string | undefined): number | undefined {
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  return length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined;
}
