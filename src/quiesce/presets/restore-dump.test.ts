import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteCatalog } from '../../catalog/sqlite-catalog.ts';
import type { Repository, SnapshotEntry } from '../../repository/index.ts';
import { ClaimingMachine } from '../../../test/fixtures/claiming-machine.ts';
import type { AuditLog } from '../../activity/log/audit-log.ts';
import { type StillWorld, stillWorld } from '../../../test/fixtures/still-world.ts';
import { someSnapshot } from '../../../test/fixtures/some-snapshot.ts';
import type { Preset } from './preset.ts';
import { applyDumpRestore, type DumpRestorePlan } from '../../restore/restore-dump.ts';

let world: StillWorld;
beforeEach(async () => void (world = await stillWorld()));
afterEach(() => rmSync(world.stateDir, { recursive: true }));

const dump = { path: 'toy.database.shop.sql', type: 'file', size: 4 } as SnapshotEntry;

test('no dump goes to a server whose volume another state folder works on', async () => {
  const machine = new ClaimingMachine();
  using catalog = openSqliteCatalog(join(world.stateDir, 'catalog.db'));
  const readFile = async function* (): AsyncGenerator<Uint8Array> {
    yield Buffer.from('dump');
  };
  const parts = await machine.around({
    ...world.access,
    catalog: async () => catalog,
    log: { record: async () => true } as unknown as AuditLog,
    repository: async () => ({ id: 'repository', readFile }) as unknown as Repository,
  });
  const fed: string[] = [];
  const restoreDump: Preset['restoreDump'] = async (_server, { body }) => {
    for await (const chunk of body) fed.push(Buffer.from(chunk).toString());
    expect(machine.taken).toEqual(['data of volume pg', 'volume pg']);
  };
  const plan: DumpRestorePlan = {
    snapshot: someSnapshot({ id: 'aa', time: '2026-01-01T00:00:00Z' }),
    volume: 'pg',
    preset: { name: 'toy', restoreDump } as unknown as Preset,
    server: {
      volume: 'pg',
      preset: {} as Preset,
      recognition: { by: 'image', folder: '', files: [], reason: '' },
      container: world.containers.add({ name: 'db' }),
      mountPath: '/data',
      isWanted: true,
      dump: true,
    },
    dumps: [dump],
    safetySnapshot: false,
  };
  {
    const claim = await machine.claim('volume pg');
    if ('heldBy' in claim) throw new Error('It is taken already');
    await using _other = claim;
    await expect(applyDumpRestore(parts, plan, {})).rejects.toMatchObject({ code: 'locked' });
    expect(fed).toEqual([]);
  }
  expect(await applyDumpRestore(parts, plan, {})).toMatchObject({ volume: 'pg', bytes: 4 });
  expect(fed).toEqual(['dump']);
  expect(machine.taken).toEqual([]);
});
