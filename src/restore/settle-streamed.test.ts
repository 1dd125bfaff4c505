import { rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openFreshRepository } from '../../test/fixtures/open-repository.ts';
import { openLeaseScope, volumeIdentity } from '../leases/index.ts';
import { type HostVolumes, openHostVolumes } from '../volumes/index.ts';
import type { ForgetDecision } from '../retention/forget-plan.ts';
import { applyForget, prepareForget } from '../retention/forget.ts';
import { recoverStreamed } from './recover-streamed.ts';
import { refuseHalfRestored, settleAll } from './settle.ts';
import { type RestoreJournal, writeJournal } from './restore-journal.ts';
import { findStreamed, pathOf, type StreamedJournal } from './streamed-journal.ts';
import {
  backUpFar,
  openStreamedWorld,
  restoreFar,
  type StreamedWorld,
} from '../../test/fixtures/streamed-world.ts';
import type { ApplyScope } from '../restore/restore.ts';
import { changeTags } from '../retention/tag.ts';

let world: StreamedWorld;
let engine: StreamedWorld['engine'];
let opened: StreamedWorld['opened'];
let access: StreamedWorld['access'];
beforeEach(async () => {
  world = await openStreamedWorld();
  ({ engine, opened, access } = world);
});
afterEach(async () => await world[Symbol.asyncDispose]());

const far = { hostIdentity: 'engine', name: 'far' };

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function journalOfFar(): Promise<StreamedJournal | undefined> {
  return await findStreamed(world.stateDir, far);
}

describe('what an unfinished restore leaves', () => {
  /** The engine fails until the restore gives up, as after a kill. */
  async function restoreInHalf(failures: readonly string[], inside: ApplyScope = world): Promise<void> {
    engine.failures = [...failures];
    await expect(restoreFar(inside)).rejects.toThrow('could not put back');
  }

  const isNeeded = { stays: true, reasons: ['"holdfast recover" needs it'] };

  /** What forget does with a snapshot when only the newest stays. */
  async function changeOf(id: string): Promise<Partial<ForgetDecision> | undefined> {
    const rules = { last: 1 };
    const request = { targets: [], tags: [], rules, keepVerified: 0, allowEmpty: true };
    const { groups } = await prepareForget(world, request, {});
    const decision = groups.flatMap(({ decisions }) => decisions).find(({ snapshot }) => snapshot.id === id);
    return decision && { stays: decision.stays, reasons: decision.reasons };
  }

  /** Returns the id that the snapshot then has. */
  async function addTag(id: string, tag: string): Promise<string> {
    const change = { add: [tag], remove: [] };
    const [changed] = await changeTags(access, { snapshots: [id], change }, {});
    return changed?.after.id ?? '';
  }

  async function notes(): Promise<string[]> {
    const told: string[] = [];
    await settleAll(access, { onNote: (note) => told.push(note) });
    return told;
  }

  async function backUp(): Promise<string | undefined> {
    const outcome = await backUpFar(access);
    return outcome?.error?.message ?? outcome?.outcome;
  }

  test.each([[['create', 'create']], [['write', 'write']], [['write', 'create']]])(
    'is told at each start, kept out of backups, and undone by recover, after %j',
    async (failures) => {
      await restoreInHalf(failures);
      expect(await notes()).toEqual([expect.stringMatching(/"far" was interrupted.*"holdfast recover"/)]);
      if (engine.volumes.has('far')) expect(await backUp()).toMatch(/Cannot back up "far".*not whole/);
      expect(await recoverStreamed(access, {})).toMatchObject([{ name: 'far', error: undefined }]);
      expect(await engine.textOf('far')).toBe('newer');
      expect(await notes()).toEqual([]);
      expect(await backUp()).toBe('good');
      expect(await recoverStreamed(access, {})).toEqual([]);
    },
  );

  test.each<readonly [string, (volumes: HostVolumes) => Promise<unknown>]>([
    ['export', (volumes) => volumes.export({ volume: 'far', to: { kind: 'stream', write: async () => {} } })],
    ['clone', (volumes) => volumes.clone({ from: 'far', to: 'copy' })],
    ['clone into', (volumes) => volumes.clone({ from: 'near', to: 'far' })],
    [
      'copy from',
      (volumes) =>
        volumes.copyOut({
          from: { volume: 'far', path: 'file' },
          to: { kind: 'path', path: `${world.stateDir}/copied` },
        }),
    ],
    [
      'import into',
      (volumes) => volumes.import({ volume: 'far', from: { kind: 'stream', bytes: nothing() } }),
    ],
  ])('keeps the volume from the work "%s" until it is recovered', async (work, does) => {
    await engine.put('near', 'other');
    const host = engine.asHost();
    const catalog = await access.catalog();
    const volumes = openHostVolumes({
      host,
      leases: () => openLeaseScope(access),
      refuseHalfRestored: async (name, which) => {
        const { identity: hostIdentity } = await host.info();
        await refuseHalfRestored({ stateDir: access.stateDir, catalog }, { hostIdentity, name }, which);
      },
    });
    await restoreInHalf(['write', 'write']);
    const half = engine.volumes.get('far');
    await expect(does(volumes)).rejects.toThrow(`Cannot ${work} "far": a restore of it was interrupted`);
    expect(engine.volumes.get('far')).toBe(half);
    expect(engine.volumes.has('copy')).toBe(false);
    await recoverStreamed(access, {});
    expect(await does(volumes).then(() => '', String)).not.toContain('interrupted');
  });

  test('ends when the volume is restored again, and until then recover goes back to what was there before', async () => {
    await restoreInHalf(['write', 'write']);
    await restoreInHalf(['write', 'write']);
    expect(await recoverStreamed(access, {})).toMatchObject([{ name: 'far', error: undefined }]);
    expect(await engine.textOf('far')).toBe('newer');
    await restoreInHalf(['write', 'write']);
    await restoreFar(world);
    expect(await engine.textOf('far')).toBe('saved');
    expect(await notes()).toEqual([]);
  });

  test('stays the same while recover fails, or another repository or engine answers', async () => {
    await restoreInHalf(['write', 'write']);
    engine.failures = ['create', 'create'];
    expect(await recoverStreamed(access, {})).toMatchObject([
      { name: 'far', error: expect.stringContaining('could not put back') },
    ]);
    engine.identity = 'another';
    expect(await recoverStreamed(access, {})).toMatchObject([
      { error: expect.stringContaining('another engine') },
    ]);
    engine.identity = 'engine';
    const other = await openFreshRepository();
    try {
      expect(
        await recoverStreamed({ ...access, repository: async () => other.repository }, {}),
      ).toMatchObject([{ error: expect.stringContaining(`--repo ${opened.location}`) }]);
    } finally {
      await other[Symbol.asyncDispose]();
    }
    expect(await notes()).toHaveLength(1);
    await recoverStreamed(access, {});
    expect(await engine.textOf('far')).toBe('newer');
  });

  test('is needed: no rule forgets it', async () => {
    await restoreInHalf(['write', 'write']);
    const { safetyId = '' } = (await journalOfFar()) ?? {};
    await restoreInHalf(['write', 'write']);
    expect(await changeOf(safetyId)).toEqual(isNeeded);
  });

  test('cannot be forgotten by its name either, until the volume is recovered', async () => {
    await restoreInHalf(['write', 'write']);
    const { safetyId = '' } = (await journalOfFar()) ?? {};
    const request = { targets: [safetyId], tags: [], rules: {}, keepVerified: undefined, allowEmpty: true };
    const plan = await prepareForget(world, request, {});
    expect(plan.refusal).toMatchObject({ code: 'conflict', hint: expect.stringContaining('recover') });
    await expect(applyForget(world, plan, {})).rejects.toThrow('"holdfast recover" needs it');
    await recoverStreamed(access, {});
    const later = await prepareForget(world, request, {});
    expect(await applyForget(world, later, {})).toMatchObject({ removed: [safetyId] });
  });

  test('is needed under each id that a change of tags gives it, and recover finds it', async () => {
    await restoreInHalf(['write', 'write']);
    const { safetyId = '' } = (await journalOfFar()) ?? {};
    await restoreInHalf(['write', 'write']);
    const first = await addTag(safetyId, 'one');
    const second = await addTag(first, 'two');
    expect(new Set([safetyId, first, second]).size).toBe(3);
    expect(await changeOf(second)).toEqual(isNeeded);
    expect(await recoverStreamed(access, {})).toEqual([
      { name: 'far', snapshotId: second, error: undefined },
    ]);
    expect(await engine.textOf('far')).toBe('newer');
  });

  test('is found in its own repository when another restore was from another one', async () => {
    await using other = await openFreshRepository();
    const elsewhere = { ...world, repository: other.repository };
    expect(await backUpFar({ ...access, repository: async () => other.repository })).toMatchObject({
      outcome: 'good',
    });
    await restoreInHalf(['write', 'write']);
    const before = await journalOfFar();
    await restoreInHalf(['write', 'write'], elsewhere);
    expect(await journalOfFar()).toMatchObject({
      safetyId: before?.safetyId,
      repositoryId: opened.repository.id,
      location: opened.location,
    });
    expect(await recoverStreamed(access, {})).toMatchObject([{ error: undefined }]);
    expect(await engine.textOf('far')).toBe('newer');
  });

  test('is unknown when its journal is damaged, and the advice that is given helps, step by step', async () => {
    await restoreInHalf(['write', 'write']);
    writeFileSync(pathOf(world.stateDir, far), '{"version":');
    const hint = /remove that file first, then restore the volume/;
    expect(await notes()).toEqual([expect.stringMatching(hint)]);
    const outcome = await backUpFar(access);
    expect(outcome?.error).toMatchObject({ code: 'integrity', hint: expect.stringMatching(hint) });
    await expect(restoreFar(world)).rejects.toMatchObject({ code: 'integrity' });
    rmSync(pathOf(world.stateDir, far));
    await restoreFar(world);
    expect(await engine.textOf('far')).toBe('saved');
    expect(await backUp()).toBe('good');
  });

  test('of a volume made for it is over as soon as the volume is gone', async () => {
    engine.volumes.delete('far');
    engine.failures = ['write'];
    await expect(restoreFar(world)).rejects.toThrow('The engine failed at "write"');
    expect(engine.volumes.has('far')).toBe(false);
    expect(await journalOfFar()).toBeUndefined();
    await engine.put('far', 'somebody else’s');
    expect(await backUp()).toBe('good');
  });

  test('of a volume made for it and recreated by another program keeps what was written there', async () => {
    engine.volumes.delete('far');
    engine.failures = ['write'];
    engine.keeps = true;
    await expect(restoreFar(world)).rejects.toThrow();
    engine.keeps = false;
    await engine.put('far', 'theirs');
    await restoreInHalf(['create', 'create']);
    expect(engine.volumes.has('far')).toBe(false);
    const { replacedIds: [theirs = ''] = [] } = (await journalOfFar()) ?? {};
    const way = `"holdfast restore far@${theirs.slice(0, 8)}" puts that back`;
    expect(await notes()).toEqual([expect.stringContaining(way)]);
    expect(await recoverStreamed(access, {})).toMatchObject([{ error: expect.stringContaining(way) }]);
    await engine.put('far', 'half');
    await restoreInHalf(['write', 'write']);
    expect(await changeOf(theirs)).toEqual(isNeeded);
    await restoreFar(world, `far@${theirs.slice(0, 8)}`);
    expect(await engine.textOf('far')).toBe('theirs');
    expect(await notes()).toEqual([]);
    expect(await backUp()).toBe('good');
  });

  test('stays when the volume is gone and held something before', async () => {
    await restoreInHalf(['create', 'create']);
    expect(engine.volumes.has('far')).toBe(false);
    engine.failures = ['create'];
    await expect(restoreFar(world)).rejects.toThrow('The engine failed at "create"');
    expect(await recoverStreamed(access, {})).toMatchObject([{ error: undefined }]);
    expect(await engine.textOf('far')).toBe('newer');
  });

  test('of a volume made for it goes with the volume, and is reported until then', async () => {
    engine.volumes.delete('far');
    engine.failures = ['write'];
    engine.keeps = true;
    await expect(restoreFar(world)).rejects.toThrow();
    expect(await notes()).toEqual([expect.stringMatching(/"far".*not whole.*volume rm far/)]);
    expect(await recoverStreamed(access, {})).toMatchObject([
      { error: expect.stringMatching(/Nothing was in it before/) },
    ]);
    engine.volumes.delete('far');
    expect(await notes()).toEqual([]);
    expect(await recoverStreamed(access, {})).toEqual([]);
  });
});

test.each([
  ['swapping', true],
  ['back', true],
  ['staging', false],
  ['committed', false],
] as const)(
  'a restore that was killed while it was %s keeps other works from the volume: %s',
  async (step, isHalf) => {
    const catalog = await access.catalog();
    const [snapshotIds, levels, names] = [['1'.repeat(64)], [], { oldNames: [], newNames: [] }];
    const member = { kind: 'volume', name: 'far', identity: volumeIdentity(catalog, far), ...names } as const;
    const place = {
      root: '/none',
      stage: '/none',
      place: 'beside',
      isKept: false,
      isCreated: false,
    } as const;
    const journal: RestoreJournal = {
      ...{ id: 'a'.repeat(32), action: 'restore', hostIdentity: 'engine', step, levels, snapshotIds },
      members: [{ ...member, ...place, fresh: '1', before: '2' }],
    };
    await writeJournal(world.stateDir, journal);
    const refused = refuseHalfRestored({ stateDir: world.stateDir, catalog }, far, 'export');
    if (isHalf) await expect(refused).rejects.toThrow('Cannot export "far": a restore of it was interrupted');
    else await expect(refused).resolves.toBeUndefined();
    await refuseHalfRestored({ stateDir: world.stateDir, catalog }, { ...far, name: 'other' }, 'export');
  },
);
