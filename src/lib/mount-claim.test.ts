import { existsSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tryLockFile } from './file-lock.ts';
import { claimMounts, endClaim, requireMountsHere } from './mount-claim.ts';
import { bootId } from './process-identity.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'claim-'));
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

const own = readlinkSync('/proc/self/ns/mnt');
const note = (text: string): void => writeFileSync(join(stateDir, 'mounts.json'), text);
const elsewhere = (): void => note(JSON.stringify({ namespace: 'mnt:[1]', boot: bootId() }));

describe('mounts of a state folder', () => {
  test.each([
    ['they are not claimed', () => undefined],
    ['this namespace has', () => note(JSON.stringify({ namespace: own, boot: bootId() }))],
    [
      'another one had, before the machine started',
      () => note(JSON.stringify({ namespace: 'mnt:[1]', boot: 'b' })),
    ],
  ])('may be made here when %s', async (_, prepare) => {
    prepare();
    await expect(requireMountsHere(stateDir, 'Cannot mount')).resolves.toBeUndefined();
  });

  test.each([
    ['another namespace has claimed them', elsewhere],
    ['who has claimed them cannot be read', () => note('{"namespa')],
    ['it is nothing that says who', () => note('[]')],
  ])('may not when %s, though its process has ended', async (_, prepare) => {
    prepare();
    const refused = requireMountsHere(stateDir, 'Cannot mount "pg"');
    await expect(refused).rejects.toMatchObject({ code: 'in-use' });
    await expect(refused).rejects.toThrow('Cannot mount "pg": containers may still have it');
  });

  test('are left to a plugin that runs in another namespace, until it has ended', async () => {
    elsewhere();
    {
      const lock = await tryLockFile(join(stateDir, 'mounts.lock'), { owner: 'plugin' });
      if ('heldBy' in lock) throw new Error('nobody else has it');
      await using _lock = lock;
      await expect(requireMountsHere(stateDir, 'Cannot mount')).rejects.toThrow('a managed plugin of Docker');
      await expect(endClaim(stateDir)).rejects.toMatchObject({ code: 'locked' });
    }
    await endClaim(stateDir);
    await expect(requireMountsHere(stateDir, 'Cannot mount')).resolves.toBeUndefined();
  });

  test('stay claimed when the plugin ends, unless it says that they are not in use', async () => {
    {
      await using _claim = await claimMounts(stateDir);
    }
    expect(existsSync(join(stateDir, 'mounts.json'))).toBe(true);
    {
      await using claim = await claimMounts(stateDir);
      await claim.forget();
    }
    expect(existsSync(join(stateDir, 'mounts.json'))).toBe(false);
  });
});
