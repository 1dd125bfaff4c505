import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DirectoryWorld, openDirectoryWorld } from '../../test/fixtures/directory-world.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { AppError } from '../model/errors.ts';
import { listUndoRecords } from '../volumes/undo-records.ts';
import { applyRestore } from './restore.ts';
import { applyUndo, dropKept, listUndo, planUndo, type UndoPlan } from './undo.ts';

let world: DirectoryWorld;
/** It was saved as "saved", then became "lost", and was restored: "lost" is kept. */
beforeEach(async () => {
  world = await openDirectoryWorld();
  await world.save('saved');
  writeFileSync(join(world.data, 'file'), 'lost');
  await restore();
});
afterEach(async () => await world[Symbol.asyncDispose]());

async function restore(what = world.data, keepForMs?: number): Promise<void> {
  await applyRestore(world, await world.plan(what, { keepForMs }), {});
}

async function plan(what: string | undefined = world.data): Promise<UndoPlan> {
  return await planUndo(world, { what }, {});
}

async function undo(planned?: UndoPlan): Promise<unknown> {
  return await applyUndo(world.access, planned ?? (await plan()), {});
}

function data(): string {
  return readFileSync(join(world.data, 'file'), 'utf8');
}

async function stage(): Promise<string> {
  return (await listUndoRecords(world.stateDir))[0]?.stage ?? '';
}

test('an undo brings back what the restore replaced, and its own undo the restored data', async () => {
  expect(data()).toBe('saved');
  expect(await plan()).toMatchObject({ isUndone: false, refusal: undefined });
  await undo();
  expect(data()).toBe('lost');
  expect(await plan()).toMatchObject({ isUndone: true });
  await undo();
  expect(data()).toBe('saved');
  const log = await world.log.list({ kinds: ['undo'] });
  expect(log.map(({ outcome, volume }) => [outcome, volume])).toEqual([
    ['good', world.data],
    ['good', world.data],
  ]);
});

describe('an undo is refused, and changes nothing,', () => {
  test('by what its plan says', async () => {
    const refusal = new AppError('in-use', '"db" cannot be stopped');
    await expect(undo({ ...(await plan()), refusal })).rejects.toBe(refusal);
    expect(data()).toBe('saved');
    expect(await listUndo(world.stateDir)).toHaveLength(1);
  });

  test('after another restore has replaced what the plan was about', async () => {
    const planned = await plan();
    writeFileSync(join(world.data, 'file'), 'lost again');
    await restore();
    await expect(undo(planned)).rejects.toMatchObject({
      code: 'conflict',
      message: `"${world.data}" has been restored or undone meanwhile`,
    });
    expect(data()).toBe('saved');
    await undo();
    expect(data()).toBe('lost again');
  });

  test('after another undo of the same restore', async () => {
    const planned = await plan();
    await undo();
    await expect(undo(planned)).rejects.toMatchObject({ code: 'conflict' });
    expect(data()).toBe('lost');
  });

  test('where what was kept is gone, or something else has its name', async () => {
    const kept = join(await stage(), 'new');
    const planned = await plan();
    renameSync(kept, join(world.folder, 'elsewhere'));
    await expect(plan()).rejects.toMatchObject({ code: 'not-found' });
    mkdirSync(kept);
    writeFileSync(join(kept, 'file'), 'planted');
    await expect(plan()).rejects.toMatchObject({ code: 'not-found' });
    await expect(undo(planned)).rejects.toMatchObject({ code: 'conflict' });
    expect(data()).toBe('saved');
    expect(await listUndo(world.stateDir)).toEqual([]);
    expect((await world.log.list({ kinds: ['undo'] })).map(({ outcome }) => outcome)).toEqual(['failed']);
  });

  test('where a symbolic link that another user can change has taken the name of the directory', async () => {
    chmodSync(world.folder, 0o777);
    const other = join(world.folder, 'other');
    renameSync(world.data, join(world.folder, 'moved'));
    mkdirSync(other);
    writeFileSync(join(other, 'file'), 'precious');
    symlinkSync(other, world.data);
    await expect(plan()).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('a symbolic link leads from it to another place now'),
    });
    expect(data()).toBe('precious');
  });

  test('without a name when the last restore kept nothing, so that an older one is not taken for it', async () => {
    const other = join(world.folder, 'other');
    await world.save('other', other);
    writeFileSync(join(other, 'file'), 'changed');
    await restore(other, 0);
    await expect(planUndo(world, { what: undefined }, {})).rejects.toMatchObject({
      code: 'not-found',
      message: `Nothing is kept of the last restore, of "${other}"`,
      hint: `Name the volume to have that back: holdfast undo ${world.data}`,
    });
    await expect(plan(other)).rejects.toMatchObject({ code: 'not-found' });
  });
});

test('an undo without a name is of what was restored last', async () => {
  const other = join(world.folder, 'other');
  await world.save('other', other);
  await restore(other);
  const { places } = await planUndo(world, { what: undefined }, {});
  expect(places.map(({ record }) => record.name)).toEqual([other]);
});

test('an undo without a name is of a restore that was killed, and so is not in the log, where that was later', async () => {
  const other = join(world.folder, 'other');
  await world.save('other', other);
  await restore(other, 0);
  const log = { ...world.log, record: async () => true };
  await applyRestore({ ...world, log }, await world.plan(world.data), {});
  const { places } = await planUndo(world, { what: undefined }, {});
  expect(places.map(({ record }) => record.name)).toEqual([world.data]);
});

test('dropping what is kept is refused where an undo came first, as the restored data is kept then', async () => {
  // It is opened when the records are read and no lease is held yet.
  const catalog = async (): Promise<Catalog> => {
    await undo();
    return world.catalog;
  };
  await expect(dropKept({ ...world.access, catalog }, { what: world.data }, {})).rejects.toMatchObject({
    code: 'conflict',
  });
  expect(data()).toBe('lost');
  await undo();
  expect(data()).toBe('saved');
});

test('dropping what is kept removes that of the named directory alone', async () => {
  const other = join(world.folder, 'other');
  await world.save('other', other);
  await restore(other);
  const kept = await stage();
  expect(await dropKept(world.access, { what: world.data }, {})).toMatchObject([{ name: world.data }]);
  expect(existsSync(kept)).toBe(false);
  expect((await listUndo(world.stateDir)).map(({ name }) => name)).toEqual([other]);
  expect(data()).toBe('saved');
  await expect(dropKept(world.access, { what: world.data }, {})).rejects.toMatchObject({ code: 'not-found' });
});
