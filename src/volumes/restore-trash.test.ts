import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Host } from '../hosts/host.ts';
import type { ManagedVolumes } from './managed/managed-volumes.ts';
import { fromText } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import { consumer, namesIn, openDirectoryHost } from '../../test/fixtures/directory-host.ts';
import { lockVolume } from './stage.ts';
import { restoreTrash } from './restore-trash.ts';
import { TrashWorld } from '../../test/fixtures/trash-world.ts';

let world: TrashWorld;
beforeEach(() => (world = new TrashWorld()));
afterEach(() => world[Symbol.dispose]());

describe('a volume that an engine had', () => {
  test('comes back at the engine, with its data and labels, and does not become a managed volume', async () => {
    await world.trashed('pg', 'precious');
    expect(await world.restore('pg')).toBe('pg');
    expect(world.fileOf('pg')).toBe('precious');
    expect((await world.engine.findVolume('pg'))?.labels).toEqual({ env: 'prod' });
    expect(await world.managed.list()).toEqual([]);
    expect(await world.inTrash()).toBe(0);
    expect(readdirSync(join(world.stateDir, 'journal-trash'))).toEqual(['lock']);
  });

  test('comes back at the engine under its own name if the trash has it under another', async () => {
    await world.managed.create({ name: 'pg', driver: 'local', labels: {}, options: {} });
    await world.trashed('pg', 'precious');
    expect(await world.restore('pg', { to: 'pg-before' })).toBe('pg-before');
    expect(world.fileOf('pg-before')).toBe('precious');
    expect((await world.managed.list()).map(({ name }) => name)).toEqual(['pg']);
  });

  test('replaces a volume that is empty and unused', async () => {
    await world.trashed('pg', 'precious');
    await world.make('pg');
    await world.restore('pg');
    expect(world.fileOf('pg')).toBe('precious');
  });

  test('is refused where a volume holds data or is in use, and stays in the trash', async () => {
    await world.trashed('pg', 'precious');
    await world.make('pg');
    world.engine.set('pg', { consumers: [consumer('web')] });
    await expect(world.restore('pg')).rejects.toMatchObject({ code: 'in-use' });
    world.engine.set('pg', { consumers: [] });
    writeFileSync(join(world.engine.path('pg'), 'file'), 'newer');
    await expect(world.restore('pg')).rejects.toMatchObject({ code: 'exists' });
    expect(world.fileOf('pg')).toBe('newer');
    expect(await world.inTrash()).toBe(1);
  });

  test('goes back to the trash, and leaves no empty volume at the engine, when the engine fails', async () => {
    await world.trashed('pg', 'precious');
    const host = world.once('openData', async () => {
      throw new AppError('unavailable', 'The engine is away');
    });
    await expect(world.restore('pg', { host })).rejects.toThrow('is away');
    expect(await world.engine.findVolume('pg')).toBeUndefined();
    expect(await world.managed.list()).toEqual([]);
    await world.restore('pg');
    expect(world.fileOf('pg')).toBe('precious');
  });

  test('leaves alone a volume that cannot be checked to be empty, when the engine stays away', async () => {
    await world.trashed('pg', 'precious');
    const openData = async (): Promise<never> => {
      throw new AppError('unavailable', 'The engine is away');
    };
    await expect(world.restore('pg', { host: world.docker({ openData }) })).rejects.toMatchObject({
      detail: expect.stringContaining('is away') as string,
    });
    expect(await world.engine.findVolume('pg')).toBeDefined();
    expect(await world.inTrash()).toBe(1);
  });

  test('is refused where the data is out of reach, in these words', async () => {
    await world.trashed('pg', 'precious');
    const host: Host = { ...openDirectoryHost(join(world.folder, 'away'), 'stream'), kind: 'docker' };
    const refused = { code: 'unsupported', message: expect.stringContaining('out of reach') as string };
    await expect(world.restore('pg', { host })).rejects.toMatchObject(refused);
    expect(await host.findVolume('pg')).toBeUndefined();
    await host.createVolume({ name: 'pg', driver: 'local', labels: {}, options: {} });
    await expect(world.restore('pg', { host })).rejects.toMatchObject(refused);
    expect(await world.inTrash()).toBe(1);
  });

  test('is restored by one program of the machine at a time', async () => {
    await world.trashed('pg', 'precious');
    const claimed: string[] = [];
    const claim = async (what: string) => {
      claimed.push(what);
      return { heldBy: { pid: 7 } };
    };
    await expect(world.restore('pg', { to: 'other', host: world.docker({ claim }) })).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining('process 7') as string,
    });
    expect(claimed).toEqual(['volume other']);
    expect(await world.engine.findVolume('other')).toBeUndefined();
    expect(await world.inTrash()).toBe(1);
  });

  test('becomes a managed volume only on request', async () => {
    await world.trashed('pg', 'precious');
    await expect(world.restore('pg', { host: world.engine })).rejects.toMatchObject({ code: 'unavailable' });
    expect(await world.restore('pg', { isOwnWanted: true })).toBe('pg');
    expect((await world.managed.find('pg'))?.labels).toEqual({ env: 'prod' });
    expect(world.back).toEqual(['pg']);
    expect(existsSync(world.engine.path('pg'))).toBe(false);
  });
});

describe('what an app does meanwhile', () => {
  const write = (content = 'newer'): void => writeFileSync(join(world.engine.path('pg'), 'file'), content);

  test('stays: a volume that another program makes at the same time and writes to is refused', async () => {
    await world.trashed('pg', 'precious');
    const host = world.once('createVolume', async (create) => {
      const made = await create();
      write();
      return made;
    });
    await expect(world.restore('pg', { host })).rejects.toMatchObject({ code: 'exists' });
    expect(world.fileOf('pg')).toBe('newer');
    expect(await world.inTrash()).toBe(1);
  });

  test.each(['holds data', 'is in use'])(
    'stays: one that %s after the first look is refused',
    async (what) => {
      await world.trashed('pg', 'precious');
      await world.make('pg');
      const host = world.once(
        'openData',
        async (open) => {
          if (what === 'holds data') write();
          else world.engine.set('pg', { consumers: [consumer('web')] });
          return await open();
        },
        2,
      );
      const code = what === 'holds data' ? 'exists' : 'in-use';
      await expect(world.restore('pg', { host })).rejects.toMatchObject({ code });
      expect(namesIn(world.engine.path('pg'))).toEqual(what === 'holds data' ? ['file'] : []);
      expect(await world.inTrash()).toBe(1);
      expect(await world.managed.list()).toEqual([]);
    },
  );

  test.each(['wrote to it', 'uses it'])(
    'stays: data that is copied is not put where one %s',
    async (what) => {
      await world.trashed('pg', 'precious');
      await world.make('pg');
      mkdirSync(join(world.engine.path('pg'), 'lost+found'));
      const host = world.once(
        'findVolume',
        async (find) => {
          expect(namesIn(world.engine.path('pg'))).toContainEqual(
            expect.stringMatching(/^\.holdfast-stage-/),
          );
          const root = world.engine.path('pg');
          expect(world.readJournals()).toEqual([expect.objectContaining({ root })]);
          if (what === 'wrote to it') write();
          else world.engine.set('pg', { consumers: [consumer('web')] });
          return await find();
        },
        4,
      );
      const code = what === 'wrote to it' ? 'conflict' : 'in-use';
      await expect(world.restore('pg', { host })).rejects.toMatchObject({ code });
      expect(namesIn(world.engine.path('pg'))).toEqual(
        what === 'wrote to it' ? ['file', 'lost+found'] : ['lost+found'],
      );
      expect(await world.inTrash()).toBe(1);
    },
  );

  test('stays: the volume made for the data is left to an app that uses it by now', async () => {
    await world.trashed('pg', 'precious');
    const host = world.once('createVolume', async (create) => {
      const made = await create();
      world.engine.set('pg', { consumers: [consumer('web')] });
      return made;
    });
    await expect(world.restore('pg', { host })).rejects.toMatchObject({ code: 'in-use' });
    expect(await world.engine.findVolume('pg')).toBeDefined();
    expect(await world.inTrash()).toBe(1);
  });

  test.each([false, true])(
    'is not merged: what fills the volume keeps it (made meanwhile: %s)',
    async (isLate) => {
      await world.trashed('pg', 'precious');
      await using held = new AsyncDisposableStack();
      const fill = (): unknown =>
        held.use(lockVolume(fromText(world.engine.path('pg')), { action: 'clone', name: 'pg' }));
      const host = world.once('createVolume', async (create) => {
        const made = await create();
        fill();
        return made;
      });
      if (!isLate) {
        await world.make('pg');
        fill();
      }
      await expect(world.restore('pg', { host })).rejects.toMatchObject({ code: 'locked' });
      expect(await world.engine.findVolume('pg')).toBeDefined();
      expect(await world.inTrash()).toBe(1);
    },
  );

  test('stays, when the app writes at the very moment of the exchange', async () => {
    await world.trashed('pg', 'precious');
    await world.make('pg');
    // It holds the directory open, wherever that is moved.
    const host = world.docker();
    const managed = { ...world.managed, restoreTrash: writingOnceMoved };
    await expect(
      restoreTrash({ ...world.parts, managed, host: async () => host }, 'pg', {}),
    ).rejects.toMatchObject({ code: 'exists' });
    expect(world.fileOf('pg')).toBe('by an app');
    expect(await world.inTrash()).toBe(1);
    await world.restore('pg', { to: 'other' });
    expect(world.fileOf('other')).toBe('precious');
  });

  const writingOnceMoved: ManagedVolumes['restoreTrash'] = async (which, options) => {
    const kept = await world.managed.restoreTrash(which, options);
    return {
      ...kept,
      get mountpoint() {
        const file = join(kept.mountpoint, 'file');
        if (!existsSync(file)) writeFileSync(file, 'by an app');
        return kept.mountpoint;
      },
    };
  };

  test('is not removed with the data: a removal of the volume waits for the restore', async () => {
    await world.trashed('pg', 'precious');
    await world.make('pg');
    const host = world.once(
      'findVolume',
      async (find) => {
        await expect(world.take('pg')).rejects.toMatchObject({ code: 'locked' });
        return await find();
      },
      3,
    );
    await world.restore('pg', { host });
    expect(world.fileOf('pg')).toBe('precious');
    expect(await world.take('pg')).toBe(true);
    expect(await world.inTrash()).toBe(1);
  });

  test('does not get the data while the volume is being removed', async () => {
    await world.trashed('pg', 'precious');
    await world.make('pg');
    await world.take('pg', async () => {
      await expect(world.restore('pg')).rejects.toMatchObject({ code: 'locked' });
    });
    expect(await world.engine.findVolume('pg')).toBeUndefined();
    await world.managed.restoreTrash((await world.managed.listTrash())[1]?.id ?? '', { to: 'older' });
    expect(await world.managed.find('older')).toBeDefined();
    expect(await world.inTrash()).toBe(1);
  });

  test('does not matter where the volume holds only what file systems and kills leave', async () => {
    await world.trashed('pg', 'precious');
    await world.make('pg');
    for (const name of ['lost+found', '.holdfast-stage-0123456789abcdef'])
      mkdirSync(join(world.engine.path('pg'), name));
    writeFileSync(join(world.engine.path('pg'), '.holdfast-stage-0123456789abcdef/half'), 'half');
    await world.restore('pg');
    expect(namesIn(world.engine.path('pg'))).toEqual(['file', 'lost+found']);
    expect(world.fileOf('pg')).toBe('precious');
    expect(await world.inTrash()).toBe(0);
    expect(await world.managed.list()).toEqual([]);
  });
});

test('a managed volume comes back as one, whatever the host is', async () => {
  await world.managed.create({ name: 'own', driver: 'local', labels: {}, options: {} });
  await world.managed.remove('own');
  expect(await world.restore('own')).toBe('own');
  expect((await world.managed.list()).map(({ name }) => name)).toEqual(['own']);
});
