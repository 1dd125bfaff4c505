import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AppError } from '../model/errors.ts';
import { ClaimingMachine } from '../../test/fixtures/claiming-machine.ts';
import { claimOf, takeLeases } from './lease.ts';
import type { Protection } from '../activity/protection.ts';
import { stillWorld } from '../../test/fixtures/still-world.ts';

let stateDir: string;
beforeEach(() => void (stateDir = mkdtempSync(join(tmpdir(), 'holdfast-claims-'))));
afterEach(() => rmSync(stateDir, { recursive: true }));

/** A Holdfast with a state folder of its own. */
async function partsOn(machine: ClaimingMachine, name: string): Promise<Protection> {
  const { parts, stateDir: unused } = await stillWorld();
  rmSync(unused, { recursive: true });
  return await machine.around({ ...parts, stateDir: join(stateDir, name) });
}

test('claimOf() is for volumes of the host that answers', async () => {
  const parts = await partsOn(new ClaimingMachine(), 'one');
  const claimed = async (place: Parameters<typeof claimOf>[1]): Promise<string | undefined> =>
    (await claimOf(parts, place, {}))?.what;
  expect(await claimed({ kind: 'volume', name: 'pg' })).toBe('volume pg');
  expect(await claimed({ kind: 'volume', name: 'pg', hostIdentity: 'engine' })).toBe('volume pg');
  expect(await claimed({ kind: 'volume', name: 'pg', hostIdentity: 'elsewhere' })).toBeUndefined();
  expect(await claimed({ kind: 'path', name: '/srv/pg', hostIdentity: 'engine' })).toBeUndefined();
});

test.each(['unavailable', 'denied', 'failed'] as const)(
  'claimOf() where the host is %s: where none answers there is nobody to keep away',
  async (code) => {
    const error = new AppError(code, 'No host');
    const parts = { host: () => Promise.reject(error) };
    const claim = claimOf(parts, { kind: 'volume', name: 'pg' }, {});
    await (code === 'failed' ? expect(claim).rejects.toBe(error) : expect(claim).resolves.toBeUndefined());
  },
);

test('takeLeases() takes all, or none and says who has it, against another state folder too', async () => {
  const machine = new ClaimingMachine();
  const [one, other] = [await partsOn(machine, 'one'), await partsOn(machine, 'other')];
  const place = (name: string) => ({ kind: 'volume' as const, name, identity: `of ${name}` });
  {
    await using _pg = await takeLeases(one, { places: [place('pg')], work: 'back up' }, {});
    const request = { places: [place('files'), place('pg')], work: 'undo the restore of' } as const;
    await expect(takeLeases(other, request, {})).rejects.toMatchObject({
      code: 'locked',
      message: 'Cannot undo the restore of "pg": process 7 is at work on it',
      detail: expect.stringContaining('another state folder') as string,
    });
    expect(machine.taken).toEqual(['data of volume pg', 'volume pg']);
    await using _files = await takeLeases(other, { places: [place('files')], work: 'restore' }, {});
    const directory = { ...place('pg'), kind: 'path' as const };
    await using _directory = await takeLeases(other, { places: [directory], work: 'restore' }, {});
  }
  expect(machine.taken).toEqual([]);
});
