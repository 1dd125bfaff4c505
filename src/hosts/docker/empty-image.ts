import { AppError } from '../../model/errors.ts';
import type { EngineClient } from './engine-client.ts';

/** An image of nothing, made here: helpers need one, and nothing is ever pulled. */
export const emptyImage = 'holdfast/empty:1';

/** Imports the image into the engine. May be repeated. */
export async function importEmptyImage(client: EngineClient): Promise<void> {
  const [repository = '', tag = ''] = emptyImage.split(':');
  const query = new URLSearchParams({
    fromSrc: '-',
    repo: repository,
    tag,
    changes: 'LABEL holdfast.helper=true',
  });
  const call = {
    method: 'POST',
    path: `/images/create?${query.toString()}`,
    action: `Cannot make the image "${emptyImage}"`,
    headers: { 'Content-Type': 'application/x-tar' },
  } as const;
  const { request, answer } = await client.send(call);
  // A tar archive without members: two blocks of zeros.
  request.end(Buffer.alloc(1024));
  const response = await answer;
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch (error) {
    throw client.failure(call, error);
  }
  // The status is 200 before the work is done: a failure is a line in the body.
  const text = Buffer.concat(chunks).toString('utf8');
  if (text.includes('"error"'))
    throw new AppError('failed', call.action, { detail: `The engine says: ${text.trim()}` });
}
