import { request as httpRequest } from 'node:http';
import { AppError } from '../../model/errors.ts';
import type { Upstream } from './upstream.ts';

export interface UpstreamAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** Plugins may take two minutes for some calls. */
const deadlineMs = 150_000;
const answerLimit = 64 << 20;

/** One question to the engine behind us, whatever it answers. `unavailable` when it does not. */
export async function askUpstream(
  { socketPath }: Upstream,
  question: { readonly method: 'GET' | 'DELETE'; readonly path: string },
): Promise<UpstreamAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<UpstreamAnswer>();
  const signal = AbortSignal.timeout(deadlineMs);
  const request = httpRequest({
    socketPath,
    agent: false,
    signal,
    ...question,
    headers: { Host: 'docker', Connection: 'keep-alive' },
  });
  request.on('error', reject);
  request.on('response', (response) => {
    const chunks: Buffer[] = [];
    let length = 0;
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length > answerLimit) request.destroy(new Error('its answer is too long'));
    });
    response.on('error', reject);
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        contentType: response.headers['content-type'] ?? 'application/json',
        text: Buffer.concat(chunks).toString('utf8'),
      }),
    );
  });
  request.end();
  try {
    return await promise;
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    throw new AppError('unavailable', `Cannot reach the engine at "unix://${socketPath}": ${words}`, {
      cause: error,
    });
  }
}

/** The JSON of a good answer; undefined for any other. */
export function jsonOf<T>({ status, text }: UpstreamAnswer): T | undefined {
  if (status < 200 || status > 299) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}
