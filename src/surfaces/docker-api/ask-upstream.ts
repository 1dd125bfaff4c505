import type { IncomingMessage } from 'node:http';
import { AppError } from '../../model/errors.ts';
import { sendUpstream, type Upstream } from './send-upstream.ts';
import { unreachable } from './upstream.ts';

export interface UpstreamAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** Plugins may take two minutes for some calls. */
const deadlineMs = 150_000;
const answerLimit = 64 << 20;

/** One request to the upstream engine; returns any answer. `unavailable` without one. */
export async function askUpstream(
  upstream: Upstream,
  question: { readonly method: 'GET' | 'DELETE'; readonly path: string },
): Promise<UpstreamAnswer> {
  try {
    const signal = AbortSignal.timeout(deadlineMs);
    const headers = { Host: 'docker', Connection: 'keep-alive' };
    const answer = await sendUpstream(upstream, { ...question, headers, signal });
    keepOwnHeaders(upstream, answer);
    return {
      status: answer.statusCode ?? 0,
      contentType: answer.headers['content-type'] ?? 'application/json',
      text: await textOf(answer),
    };
  } catch (error) {
    throw new AppError('unavailable', unreachable(upstream, error), { cause: error });
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

const ownHeaders: readonly string[] = ['api-version', 'docker-experimental', 'ostype', 'server'];

/** Keeps the headers by which the engine identifies itself. */
function keepOwnHeaders({ says }: Upstream, { rawHeaders }: IncomingMessage): void {
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = [rawHeaders[index], rawHeaders[index + 1]];
    if (ownHeaders.includes(name.toLowerCase())) says.set(name, value);
  }
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > answerLimit) throw new AppError('unavailable', 'its answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
