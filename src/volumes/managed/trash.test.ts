import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Catalog } from '../../catalog/catalog.ts';
import type { Driver } from '../../drivers/driver.ts';
import { openDrivers } from '../../drivers/open-drivers.ts';
import { AppError } from '../../model/errors.ts';
import type { ManagedVolumes } from './managed-volumes.ts';
import { openManagedHost } from './managed-host.ts';
import { memoryCatalog } from '../../../test/fixtures/memory-catalog.ts';
import type { TrashedRecord } from './trash.ts';

let stateDir: string;
let catalog: Catalog;
let warnings: string[];
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'trash-'));
  catalog = memoryCatalog();
  warnings = [];
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(stateDir, { recursive: true, force: true });
});

const dayMs = 24 * 3600 * 1000;
const spec = (name: string) => ({ name, driver: 'local', labels: {}, options: {} });

/** The host, with a modified driver for its volumes. */
async function withVolumes(
  work: (managed: ManagedVolumes) => Promise<void>,
  changes: Partial<Driver> = {},
): Promise<void> {
  const real = openDrivers({ stateDir, secret: async () => Buffer.from('') });
  const drivers = { get: async () => ({ ...(await real.get('local')), ...changes }) };
  const onWarning = (message: string) => void warnings.push(message);
  await using host = await openManagedHost({ stateDir, catalog, drivers, onWarning });
  await work(host.managed);
}

const trashed = async (): Promise<string[]> => {
  const names: string[] = [];
  await withVolumes(async (managed) => {
    names.push(...(await managed.listTrash()).map(({ name }) => name));
  });
  return names.toSorted();
};

/** Changes the mark beside each volume in the trash. */
function rewriteMarks(change: (record: TrashedRecord) => Partial<TrashedRecord>): void {
  for (const entry of readdirSync(join(stateDir, 'trash'))) {
    const path = join(stateDir, 'trash', entry, 'trashed.json');
    const record = JSON.parse(readFileSync(path, 'utf8')) as TrashedRecord;
    writeFileSync(path, JSON.stringify({ ...record, ...change(record) }));
  }
}

const longAgo = { removedAt: '2001-01-01T00:00:00.000Z', expiresAt: '2001-01-08T00:00:00.000Z' };

async function removeSome(...names: string[]): Promise<void> {
  await withVolumes(async (managed) => {
    for (const name of names) {
      await managed.create(spec(name));
      await managed.remove(name);
    }
  });
}

describe('the trash', () => {
  test('deletes what has expired when one deletion fails, and names that one', async () => {
    await removeSome('aa', 'bb', 'cc');
    rewriteMarks(() => ({ ...longAgo, since: undefined }));
    const remove: Driver['remove'] = async ({ name }) => {
      if (name === 'bb') throw new AppError('unavailable', 'The server is away');
    };
    await withVolumes(
      async (managed) => {
        // As at the start.
        await managed.reconcile();
      },
      { remove },
    );
    expect(warnings).toEqual([expect.stringContaining('The server is away')]);
    await withVolumes(
      async (managed) => {
        expect((await managed.listTrash()).map(({ name }) => name)).toEqual(['bb']);
        await expect(managed.emptyTrash('all')).resolves.toMatchObject({
          deleted: [],
          failures: [{ name: 'bb', error: { code: 'unavailable' } }],
        });
      },
      { remove },
    );
    await withVolumes(async (managed) => {
      await managed.reconcile();
      expect(await managed.listTrash()).toEqual([]);
    });
  });

  test('keeps what was removed a moment ago, though the clock has jumped ahead since', async () => {
    await removeSome('pg');
    rewriteMarks(() => longAgo);
    await withVolumes(async (managed) => {
      await expect(managed.emptyTrash('expired')).resolves.toEqual({ deleted: [], failures: [] });
    });
    expect(await trashed()).toEqual(['pg']);
  });

  test('counts the time of what was removed under a slow clock from the next start of the machine', async () => {
    await withVolumes(async (managed) => {
      await managed.create(spec('pg'));
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 400 * dayMs });
      await managed.remove('pg');
      vi.useRealTimers();
    });
    rewriteMarks((record) => ({ since: { boot: 'earlier', uptimeMs: record.since?.uptimeMs ?? 0 } }));
    await withVolumes(async (managed) => {
      await expect(managed.emptyTrash('expired')).resolves.toEqual({ deleted: [], failures: [] });
      const [found] = await managed.listTrash();
      expect(Date.parse(found?.expiresAt ?? '') - Date.now()).toBeGreaterThan(6 * dayMs);
    });
  });

  test('deletes after a restart of the machine what was removed under a right clock', async () => {
    await removeSome('pg');
    rewriteMarks(() => ({ ...longAgo, since: { boot: 'earlier', uptimeMs: 0 } }));
    await withVolumes(async (managed) => {
      await managed.emptyTrash('expired');
    });
    expect(await trashed()).toEqual([]);
  });
});

test('a volume that is protected or held is not removed, and one that is held is not renamed', async () => {
  await withVolumes(async (managed) => {
    await managed.create(spec('pg'));
    const file = join(stateDir, 'volumes/pg/_data/file');
    writeFileSync(file, 'precious');
    for (const permanent of [false, true]) {
      await managed.protect('pg', true);
      await expect(managed.remove('pg', { permanent })).rejects.toMatchObject({ code: 'locked' });
      await managed.protect('pg', false);
      await managed.mount('pg', 'docker:1');
      await expect(managed.remove('pg', { permanent })).rejects.toMatchObject({ code: 'in-use' });
      await expect(managed.rename('pg', 'other')).rejects.toMatchObject({ code: 'in-use' });
      await managed.unmount('pg', 'docker:1');
      expect(readFileSync(file, 'utf8')).toBe('precious');
    }
    await managed.create(spec('other'));
    await expect(managed.rename('pg', 'other')).rejects.toMatchObject({ code: 'exists' });
    expect((await managed.list()).map(({ name }) => name)).toEqual(['other', 'pg']);
    expect(readFileSync(file, 'utf8')).toBe('precious');
    await managed.remove('pg');
    expect(await managed.find('pg')).toBeUndefined();
  });
  expect(await trashed()).toEqual(['pg']);
});

describe('a volume with files that have not reached its storage', () => {
  const changes: Partial<Driver> = { unsaved: async () => 2 };

  test('is removed only where the caller accepts their loss', async () => {
    await withVolumes(async (managed) => {
      for (const permanent of [false, true]) {
        await managed.create(spec('pg'));
        await expect(managed.remove('pg', { permanent })).rejects.toMatchObject({
          code: 'conflict',
          message: 'Cannot remove volume "pg": 2 files that were written to it have not reached its storage',
        });
        expect(await managed.find('pg')).toBeDefined();
        await managed.remove('pg', { permanent, losesUnsaved: true });
        expect(await managed.find('pg')).toBeUndefined();
      }
    }, changes);
  });

  test('does not expire in the trash', async () => {
    await removeSome('pg');
    rewriteMarks(() => ({ ...longAgo, since: undefined }));
    await withVolumes(async (managed) => {
      const { deleted, failures } = await managed.emptyTrash('expired');
      expect(deleted).toEqual([]);
      expect(failures).toMatchObject([{ name: 'pg', error: { code: 'conflict' } }]);
    }, changes);
    expect(await trashed()).toEqual(['pg']);
  });
});
