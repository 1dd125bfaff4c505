import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteCatalog } from '../../catalog/sqlite-catalog.ts';
import type { Host } from '../../hosts/host.ts';
import { AppError } from '../../model/errors.ts';
import { openUsage, type Usage } from './usage.ts';

let catalog: ReturnType<typeof openSqliteCatalog>;
beforeEach(() => {
  catalog = openSqliteCatalog(':memory:');
});
afterEach(() => catalog[Symbol.dispose]());

function usageOf(host: Partial<Host>): Usage {
  const unused = (): never => {
    throw new Error('not asked for');
  };
  return openUsage({
    catalog: async () => catalog,
    host: async () => host as Host,
    addresses: async () => ['unix:///engine.sock'],
    ...{ open: unused },
  });
}

const pg = { name: 'pg', driver: 'local', anonymous: false, stack: undefined, scope: 'local' } as const;
const none = { mountpoint: undefined, createdAt: undefined };
const refused = new AppError('denied', 'The engine refused it');

test('an engine that does not tell which one it is has its volumes listed, and it is said why sizes lack', async () => {
  const usage = usageOf({
    listVolumes: async () => [{ ...pg, ...none, options: {}, labels: {}, consumers: [] }],
    info: () => Promise.reject(refused),
  });
  const notes: string[] = [];
  const report = await usage.df({ names: [], refresh: false }, { onNote: (note) => notes.push(note) });
  expect(report.volumes).toMatchObject([{ name: 'pg', bytes: undefined }]);
  expect(notes).toEqual([
    'The engine does not tell which one it is, so no sizes are known to be its: The engine refused it',
  ]);
});

test('a cancel while the engine is asked who it is ends df', async () => {
  const cancel = new AbortController();
  const usage = usageOf({
    listVolumes: async () => [],
    info: () => {
      cancel.abort();
      return Promise.reject(refused);
    },
  });
  await expect(usage.df({ names: [], refresh: false }, { signal: cancel.signal })).rejects.toThrow('abort');
});
