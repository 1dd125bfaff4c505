import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DirectoryWorld, openDirectoryWorld } from '../../test/fixtures/directory-world.ts';
import { AppError } from '../model/errors.ts';
import { listJournals } from './restore-journal.ts';
import type { RestorePlan, RestoreRequest } from './restore-plan.ts';
import { applyRestore, applyRestoreHeld, applyRestores } from './restore.ts';

let world: DirectoryWorld;
/** Its directory was saved as "saved", and holds "newer" now. */
beforeEach(async () => {
  world = await openDirectoryWorld();
  await world.save('saved');
  writeFileSync(join(world.data, 'file'), 'newer');
});
afterEach(async () => await world[Symbol.asyncDispose]());

async function plan(more: Partial<RestoreRequest> = {}, what = world.data): Promise<RestorePlan> {
  return await world.plan(what, more);
}

function textIn(folder: string): string {
  return readFileSync(join(folder, 'file'), 'utf8');
}

async function outcomes(): Promise<string[]> {
  return (await world.log.list({ kinds: ['restore'] })).map(({ outcome }) => outcome);
}

describe('a restore is refused, and changes nothing,', () => {
  afterEach(async () => {
    expect(textIn(world.data)).toBe('newer');
    expect(await listJournals(world.stateDir)).toEqual([]);
  });

  test('by what its plan says, alone, with others and under the lease of its caller', async () => {
    const refusal = new AppError('in-use', '"db" cannot be stopped');
    const refused = { ...(await plan()), refusal };
    const other = await plan({ to: join(world.folder, 'copy') });
    await expect(applyRestore(world, refused, {})).rejects.toBe(refusal);
    await expect(applyRestores(world, [other, refused], {})).rejects.toBe(refusal);
    await expect(applyRestoreHeld(world, refused, {})).rejects.toBe(refusal);
    expect(existsSync(join(world.folder, 'copy'))).toBe(false);
  });

  test('into a directory that holds something', async () => {
    const to = join(world.folder, 'other');
    mkdirSync(to);
    writeFileSync(join(to, 'file'), 'precious');
    await expect(plan({ to })).rejects.toMatchObject({ code: 'exists' });
    expect(textIn(to)).toBe('precious');
  });

  test('into a directory in which something came to lie since the plan', async () => {
    const to = join(world.folder, 'other');
    for (const isThere of [true, false]) {
      rmSync(to, { recursive: true, force: true });
      if (isThere) mkdirSync(to);
      const planned = await plan({ to });
      mkdirSync(to, { recursive: true });
      writeFileSync(join(to, 'file'), 'precious');
      await expect(applyRestore(world, planned, {})).rejects.toMatchObject({ code: 'conflict' });
      expect(textIn(to)).toBe('precious');
      expect(readdirSync(world.folder).toSorted()).toEqual(['data', 'other', 'state']);
    }
    expect(await outcomes()).toEqual(['failed', 'failed']);
  });

  test('into a volume that holds something, or that came since the plan', async () => {
    const host = await world.host();
    const planned = await plan({ to: 'copy' });
    expect(planned.destination.kind).toBe('new-volume');
    const { mountpoint = '' } = await host.createVolume({
      name: 'copy',
      driver: '',
      options: {},
      labels: {},
    });
    writeFileSync(join(mountpoint, 'file'), 'precious');
    await expect(applyRestore(world, planned, {})).rejects.toMatchObject({ code: 'conflict' });
    await expect(plan({ to: 'copy' })).rejects.toMatchObject({ code: 'exists' });
    expect(textIn(mountpoint)).toBe('precious');
  });

  test('of a link or a FIFO by itself', async () => {
    symlinkSync('file', join(world.data, 'link'));
    execFileSync('mkfifo', [join(world.data, 'fifo')]);
    await world.save('newer');
    for (const path of ['link', 'fifo'])
      await expect(plan({ path })).rejects.toMatchObject({ code: 'unsupported' });
  });
});

test('a directory in which Holdfast itself lies is not replaced in place, but may be restored elsewhere', async () => {
  await world.save('whole', world.folder);
  const planned = await plan({}, world.folder);
  expect(planned.refusal).toMatchObject({
    code: 'conflict',
    message: `Cannot restore "${world.folder}" in place: Holdfast itself lies in it`,
  });
  await expect(applyRestore(world, planned, {})).rejects.toBe(planned.refusal);
  expect(existsSync(world.stateDir)).toBe(true);
  const to = join(world.folder, 'copy');
  await applyRestore(world, await plan({ to }, world.folder), {});
  expect(textIn(to)).toBe('whole');
});

test('a restore that fails takes away the volume and the folders that it has made', async () => {
  const to = join(world.folder, 'new/deep/copy');
  const planned = [await plan({ to }), await plan({ to: 'copy' })];
  // A pack is gone: what is to be restored cannot be read.
  rmSync(join(world.opened.location, 'data'), { recursive: true });
  for (const one of planned) await expect(applyRestore(world, one, {})).rejects.toBeInstanceOf(AppError);
  expect(readdirSync(world.folder).toSorted()).toEqual(['data', 'state', 'volumes']);
  expect(await (await world.host()).listVolumes()).toEqual([]);
  expect(await outcomes()).toEqual(['failed', 'failed']);
});

test('a restore of several places fills all of them, or none', async () => {
  const other = join(world.folder, 'other');
  await world.save('other', other);
  writeFileSync(join(other, 'file'), 'newer');
  const plans = [await plan(), await plan({}, other)];
  // The second one has no snapshot any more.
  const broken = plans.map((one, index) =>
    index === 1 ? { ...one, snapshot: { ...one.snapshot, id: '0'.repeat(64) } } : one,
  );
  await expect(applyRestores(world, broken, {})).rejects.toBeInstanceOf(AppError);
  expect([textIn(world.data), textIn(other)]).toEqual(['newer', 'newer']);
  await applyRestores(world, plans, {});
  expect([textIn(world.data), textIn(other)]).toEqual(['saved', 'other']);
  expect(await outcomes()).toEqual(['failed', 'failed', 'good', 'good']);
});

test('the safety snapshot holds what the restore replaces', async () => {
  const { safetySnapshot } = await applyRestore(world, await plan({ safetySnapshot: true }), {});
  expect(textIn(world.data)).toBe('saved');
  await applyRestore(world, await plan({}, safetySnapshot?.id), {});
  expect(textIn(world.data)).toBe('newer');
});
