import { expect, test } from 'vitest';
import type { Entry } from '../model/entry.ts';
import { dataOnly } from './data-only.ts';

async function run(chunks: readonly string[], dataRuns: Entry['dataRuns']): Promise<string> {
  async function* content(): AsyncGenerator<Uint8Array> {
    for (const chunk of chunks) yield Buffer.from(chunk);
  }
  const entry: Entry = {
    path: 'f',
    type: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    size: 0,
    ...(dataRuns === undefined ? {} : { dataRuns }),
  };
  const found: Uint8Array[] = [];
  for await (const chunk of dataOnly(content(), entry)) found.push(chunk);
  return Buffer.concat(found).toString();
}

test('dataOnly() leaves holes out, wherever the chunks end', async () => {
  const runs = [
    { offset: 1, length: 2 },
    { offset: 5, length: 4 },
  ];
  for (const chunks of [['0123456789'], ['01', '23456', '789'], '0123456789'.split('')])
    expect(await run(chunks, runs)).toBe('125678');
  expect(await run(['0123'], [])).toBe('');
  expect(await run(['01', '23'], undefined)).toBe('0123');
});
