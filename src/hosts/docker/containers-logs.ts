import { printableField } from '../../model/quote.ts';
import type { CallOptions } from '../host.ts';
import { inspectContainer, shortName } from './containers-read.ts';
import { noSuchContainer } from './containers-state.ts';
import type { EngineCall, EngineClient } from './engine-client.ts';
import { FrameReader, TailBuffer } from './stream-frames.ts';

const defaultLines = 50;
const bytesAtMost = 256 << 10;

/** The last lines of a container's output, both streams. */
export async function readLogs(
  client: EngineClient,
  id: string,
  { signal, lines = defaultLines }: CallOptions & { readonly lines?: number },
): Promise<string> {
  const action = `Cannot read the log of container "${shortName(id)}"`;
  const inspection = await inspectContainer(client, id, signal);
  if (inspection === undefined) throw noSuchContainer(action);
  const call: EngineCall = {
    method: 'GET',
    path: `/containers/${inspection.Id}/logs?stdout=1&stderr=1&tail=${lines}`,
    action,
    signal,
  };
  const response = await client.stream(call);
  const reader = inspection.Config?.Tty === true ? undefined : new FrameReader();
  const tail = new TailBuffer(bytesAtMost);
  try {
    for await (const chunk of response as AsyncIterable<Uint8Array>) {
      const frames = reader?.read(chunk) ?? [{ bytes: chunk }];
      for (const { bytes } of frames) tail.add(bytes);
    }
  } catch (error) {
    throw client.failure(call, error);
  }
  return printable(tail.text());
}

/** A container's output may hold anything, even terminal control codes. */
function printable(text: string): string {
  return text
    .split('\n')
    .map((line) => printableField(line.replace(/\r$/, '').replaceAll('\t', '  ')))
    .join('\n');
}
