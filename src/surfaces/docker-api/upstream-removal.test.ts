import { once } from 'node:events';
import { lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  checkContainerRemoval,
  pruneUpstream,
  type RemovalParts,
  removeUpstream,
} from './upstream-removal.ts';
import { openUpstream } from './upstream.ts';

interface Answer {
  readonly status: number;
  readonly says: unknown;
}

/**
 * An engine with the volume "pg", which answers by prefixes of paths and counts the removals that it gets.
 */
async function openEngine(answers: Readonly<Record<string, Answer>>): Promise<{
  readonly parts: RemovalParts;
  readonly removed: readonly string[];
  [Symbol.dispose](): void;
}> {
  const folder = mkdtempSync(join(tmpdir(), 'removal-'));
  const path = join(folder, 'pg/_data');
  mkdirSync(path, { recursive: true });
  const createdAt = lstatSync(join(folder, 'pg')).ctime.toISOString();
  const volume = { Name: 'pg', Driver: 'local', Mountpoint: path, CreatedAt: createdAt };
  const removed: string[] = [];
  const server = createServer(({ method, url = '' }, response) => {
    if (method === 'DELETE') removed.push(url);
    const [, answer] = Object.entries(answers).find(([start]) => url.startsWith(start)) ?? [];
    response.statusCode = answer?.status ?? 200;
    response.end(JSON.stringify(answer?.says ?? volume));
  });
  server.listen(join(folder, 'engine'));
  await once(server, 'listening');
  const upstream = openUpstream(`unix://${join(folder, 'engine')}`);
  return {
    removed,
    parts: {
      upstream,
      trash: () => Promise.reject(new Error('not asked')),
      isProtected: async () => false,
      pruning: { isRunning: false },
    },
    [Symbol.dispose]() {
      upstream[Symbol.dispose]();
      server.close();
      rmSync(folder, { recursive: true });
    },
  };
}

const removal = { kind: 'remove-volume', name: 'pg', version: '', query: new URLSearchParams() } as const;

test.each([
  ['refuses', 500, { message: 'the storage is busy' }],
  ['answers with no list', 200, { message: 'x' }],
])('a volume stays while the engine %s when asked who uses it', async (_what, status, says) => {
  using engine = await openEngine({ '/containers': { status, says } });
  await expect(removeUpstream(engine.parts, removal, {} as never)).rejects.toMatchObject({ status: 503 });
  expect(engine.removed).toEqual([]);
});

test.each([
  ['fails', 500, { message: 'the storage is busy' }],
  ['answers with no volume', 200, { message: 'x' }],
])('a volume stays while the engine %s when asked what it is', async (_what, status, says) => {
  using engine = await openEngine({
    '/volumes/pg': { status, says },
    '/containers': { status: 200, says: [] },
  });
  await expect(removeUpstream(engine.parts, removal, {} as never)).rejects.toMatchObject({ status: 503 });
  expect(engine.removed).toEqual([]);
});

test.each([
  ['fails', 500, { message: 'the storage is busy' }],
  ['answers with no list', 200, { message: 'x' }],
])('a prune says so when the engine %s when asked for its volumes', async (_what, status, says) => {
  using engine = await openEngine({ '/volumes?': { status, says } });
  const prune = { kind: 'prune-volumes', version: '', query: new URLSearchParams() } as const;
  await expect(pruneUpstream(engine.parts, prune, {} as never)).rejects.toMatchObject({ status: 503 });
});

test.each([
  ['fails', 500, { message: 'the storage is busy' }],
  ['answers with no container', 200, {}],
])(
  'a container stays with its volumes while the engine %s when asked for it',
  async (_what, status, says) => {
    using engine = await openEngine({ '/containers/web/json': { status, says } });
    await expect(checkContainerRemoval(engine.parts, 'web')).rejects.toMatchObject({ status: 503 });
  },
);

test('the engine itself reports a missing container', async () => {
  using engine = await openEngine({ '/containers/web/json': { status: 404, says: { message: 'no such' } } });
  await checkContainerRemoval(engine.parts, 'web');
});
