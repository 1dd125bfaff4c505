import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DirectoryWorld, openDirectoryWorld } from '../../test/fixtures/directory-world.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { ForgetPlan } from './forget-plan.ts';
import { applyForget, type ForgetRequest, prepareForget } from './forget.ts';

let world: DirectoryWorld;
let saved: Snapshot[];
beforeEach(async () => {
  world = await openDirectoryWorld();
  saved = [];
  for (const text of ['first', 'second', 'third']) saved.push(await world.save(text));
});
afterEach(async () => await world[Symbol.asyncDispose]());

async function plan(request: Partial<ForgetRequest> = {}): Promise<ForgetPlan> {
  const asked = { targets: [], tags: [], rules: {}, keepVerified: undefined, allowEmpty: false };
  return await prepareForget(world, { ...asked, ...request }, {});
}

function staying({ groups }: ForgetPlan): string[] {
  return groups.flatMap(({ decisions }) =>
    decisions.filter(({ stays }) => stays).map(({ snapshot }) => snapshot.id),
  );
}

async function left(): Promise<string[]> {
  return (await world.repository.listSnapshots()).map(({ id }) => id);
}

function idOf(index: number): string {
  return saved[index]?.id ?? '';
}

describe('prepareForget()', () => {
  test('keeps the newest verified snapshot unless the request says how many, or allows that none is left', async () => {
    world.catalog.noteVerifiedSnapshots(world.repository.id, {
      snapshotIds: [idOf(0), idOf(1)],
      damagedIds: [],
      verifiedAt: '2026-01-01T00:00:00Z',
    });
    const rules = { last: 1 };
    expect(staying(await plan({ rules }))).toEqual([idOf(2), idOf(1)]);
    expect(staying(await plan({ rules, keepVerified: 2 }))).toEqual([idOf(2), idOf(1), idOf(0)]);
    expect(staying(await plan({ rules, keepVerified: 0 }))).toEqual([idOf(2)]);
    expect(staying(await plan({ rules, allowEmpty: true }))).toEqual([idOf(2)]);
  });

  test('refuses a request that says nothing of what to keep, but for a named volume that may become empty', async () => {
    for (const request of [{}, { targets: [world.data] }, { allowEmpty: true }])
      await expect(plan(request)).rejects.toMatchObject({
        code: 'usage',
        message: 'Nothing says what to keep',
      });
    expect(staying(await plan({ targets: [world.data], allowEmpty: true }))).toEqual([]);
  });

  test('refuses while a journal cannot be read that may name snapshots with the only copy of data', async () => {
    mkdirSync(join(world.stateDir, 'journal'), { recursive: true });
    writeFileSync(join(world.stateDir, 'journal', `streamed-${'0'.repeat(32)}.json`), 'rubbish');
    for (const request of [{ rules: { last: 1 } }, { targets: [idOf(0)] }])
      await expect(plan(request)).rejects.toMatchObject({ code: 'integrity' });
  });

  test('refuses single snapshots together with rules, tags or a number, which would be about all others', async () => {
    const targets = [idOf(0)];
    for (const more of [{ rules: { last: 1 } }, { tags: [['x']] }, { keepVerified: 1 }])
      await expect(plan({ targets, ...more })).rejects.toMatchObject({ code: 'usage' });
    await expect(plan({ targets: [world.data, idOf(0)] })).rejects.toMatchObject({ code: 'usage' });
    expect(staying(await plan({ targets }))).toEqual([idOf(2), idOf(1)]);
  });

  test('leaves alone what other machines saved, unless they are asked for', async () => {
    const theirs: (Snapshot | undefined)[] = [];
    for (let count = 0; count < 2; count++) theirs.push((await world.opened.save(world.data)).snapshot);
    const [older, newer] = theirs.map((one) => one?.id);
    const rules = { last: 1 };
    const own = await plan({ rules });
    expect(own.groups.flatMap(({ decisions }) => decisions)).toHaveLength(3);
    await expect(plan({ rules, targets: ['data'] })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('"test-host" saved them'),
    });
    const all = await plan({ rules, allHosts: true, keepVerified: 0 });
    expect(new Set(staying(all))).toEqual(new Set([idOf(2), newer]));
    const single = await plan({ targets: [older ?? ''] });
    expect(staying(single)).toEqual([newer]);
  });
});

describe('applyForget()', () => {
  test('removes what the plan says and logs each snapshot', async () => {
    const { log, repository } = world;
    const request = await plan({ rules: { last: 1 }, keepVerified: 0 });
    expect(await applyForget({ log, repository }, request, {})).toMatchObject({ kept: 1 });
    expect(await left()).toEqual([idOf(2)]);
    const logged = await log.list({ kinds: ['forget'] });
    expect(new Set(logged.map(({ snapshot }) => snapshot))).toEqual(new Set([idOf(0), idOf(1)]));
  });

  test('removes nothing where the plan is refused', async () => {
    const request = await plan({ targets: saved.map(({ id }) => id) });
    await expect(applyForget(world, request, {})).rejects.toMatchObject({
      message: `Cannot forget all 3 snapshots of "${world.data}": nothing would be left`,
    });
    expect(await left()).toHaveLength(3);
  });

  test('removes nothing where a snapshot that was to stay is gone meanwhile', async () => {
    const request = await plan({ rules: { last: 1 } });
    await world.repository.removeSnapshots([idOf(2)]);
    await expect(applyForget(world, request, {})).rejects.toMatchObject({ code: 'conflict' });
    expect((await left()).toSorted()).toEqual([idOf(0), idOf(1)].toSorted());
    expect(await world.log.list({ kinds: ['forget'] })).toMatchObject([{ outcome: 'failed' }]);
  });
});
