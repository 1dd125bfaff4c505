import { once } from 'node:events';
import { lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { removeUpstream } from './upstream-removal.ts';
import { openUpstream } from './upstream.ts';

test.each([
  ['refuses', 500, { message: 'the storage is busy' }],
  ['answers with no list', 200, { message: 'x' }],
])('a volume stays while the engine %s when asked who uses it', async (_what, status, answer) => {
  const folder = mkdtempSync(join(tmpdir(), 'removal-'));
  using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
  const path = join(folder, 'pg/_data');
  mkdirSync(path, { recursive: true });
  const createdAt = lstatSync(join(folder, 'pg')).ctime.toISOString();
  const removed: string[] = [];
  const server = createServer(({ method, url = '' }, response) => {
    if (method === 'DELETE') removed.push(url);
    const isVolume = url.startsWith('/volumes/');
    const volume = { Name: 'pg', Driver: 'local', Mountpoint: path, CreatedAt: createdAt };
    response.statusCode = isVolume ? 200 : status;
    response.end(JSON.stringify(isVolume ? volume : answer));
  });
  server.listen(join(folder, 'engine'));
  await once(server, 'listening');
  using _server = { [Symbol.dispose]: () => server.close() };
  using upstream = openUpstream(`unix://${join(folder, 'engine')}`);
  const parts = {
    upstream,
    trash: () => Promise.reject(new Error('not asked')),
    isProtected: async () => false,
    pruning: { isRunning: false },
  };
  const asked = { kind: 'remove-volume', name: 'pg', version: '', query: new URLSearchParams() } as const;
  await expect(removeUpstream(parts, asked, {} as never)).rejects.toMatchObject({ status: 503 });
  expect(removed).toEqual([]);
});
