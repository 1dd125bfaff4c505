import { readTar } from '../../lib/tar/read-tar.ts';
import { fromText } from '../../model/byte-string.ts';
import { isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { archiveUrl } from './archive-requests.ts';
import { shortName } from './containers-read.ts';
import type { EngineClient } from './engine-client.ts';

const mostBytes = 1 << 20;

/** The content of a small file of a container, running or not; undefined where there is no such file. */
export async function readFileOf(
  client: EngineClient,
  {
    id,
    path,
    signal,
  }: { readonly id: string; readonly path: string; readonly signal?: AbortSignal | undefined },
): Promise<Uint8Array | undefined> {
  const action = `Cannot read ${quote(path)} of container ${quote(shortName(id))}`;
  try {
    const response = await client.stream({
      method: 'GET',
      path: archiveUrl(id, fromText(path)),
      action,
      signal,
    });
    try {
      for await (const { entry, body } of readTar(response, { signal })) {
        if (entry.type !== 'file' || (entry.size ?? 0) > mostBytes) return undefined;
        const chunks: Uint8Array[] = [];
        for await (const chunk of body) chunks.push(chunk);
        return Buffer.concat(chunks);
      }
      return undefined;
    } finally {
      response.destroy();
    }
  } catch (error) {
    if (isAppError(error, 'not-found')) return undefined;
    throw error;
  }
}
