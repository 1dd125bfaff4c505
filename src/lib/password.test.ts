import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readPassword } from './password.ts';
import { splitWords } from '../model/quote.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-password-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function read(reference: string, env: Record<string, string> = {}): Promise<string> {
  return Buffer.from(await readPassword(reference, { PATH: process.env['PATH'], ...env })).toString('latin1');
}

describe('readPassword()', () => {
  test('takes one line end away, and nothing else', async () => {
    writeFileSync(join(folder, 'a'), ' secret \n');
    writeFileSync(join(folder, 'b'), 'secret\r\n');
    writeFileSync(join(folder, 'c'), 'secret\n\n');
    writeFileSync(join(folder, 'd'), Buffer.from([0xff, 0xfe, 0x0a]));
    expect(await read(`file:${folder}/a`)).toBe(' secret ');
    expect(await read(`file:${folder}/b`)).toBe('secret');
    expect(await read(`file:${folder}/c`)).toBe('secret\n');
    expect(await read(`file:${folder}/d`)).toBe('\xff\xfe');
  });

  test('reads a variable and the output of a command, which no shell sees', async () => {
    expect(await read('env:SECRET', { SECRET: 'from the environment' })).toBe('from the environment');
    expect(await read(`exec:printf %s 'a  b;$HOME'`)).toBe('a  b;$HOME');
  });

  test('runs no command that is written where other users can write', async () => {
    const stateDir = join(folder, 'state');
    const command = `exec:touch ${folder}/ran`;
    const env = { PATH: process.env['PATH'] };
    mkdirSync(stateDir, { mode: 0o700 });
    for (const [place, mode] of [
      [stateDir, 0o777],
      [stateDir, 0o1777],
      [folder, 0o777],
    ] as const) {
      chmodSync(place, mode);
      await expect(readPassword(command, env, { stateDir })).rejects.toMatchObject({
        code: 'denied',
        message: expect.stringContaining(`other users can write to "${place}"`),
      });
      await expect(readPassword(`file:${folder}/none`, env, { stateDir })).rejects.toMatchObject({
        code: 'not-found',
      });
      chmodSync(place, 0o700);
    }
    expect(existsSync(join(folder, 'ran'))).toBe(false);
    await readPassword(command, env, { stateDir }).catch(() => undefined);
    expect(existsSync(join(folder, 'ran'))).toBe(true);
  });

  test('a command does not see the password that this process got', async () => {
    const env = { HOLDFAST_PASSWORD: 'ours', VAULT_TOKEN: 'theirs' };
    expect(await read(`exec:sh -c 'echo "$HOLDFAST_PASSWORD$VAULT_TOKEN"'`, env)).toBe('theirs');
  });

  test('refuses an empty password, a missing file and a failing command, without showing its output', async () => {
    writeFileSync(join(folder, 'empty'), '\n');
    await expect(read(`file:${folder}/empty`)).rejects.toMatchObject({ code: 'usage' });
    await expect(read('env:NOT_SET')).rejects.toMatchObject({ code: 'usage' });
    await expect(read(`file:${folder}/none`)).rejects.toMatchObject({ code: 'not-found' });
    const failing = await readPassword(`exec:sh -c 'echo topsecret; exit 3'`, {
      PATH: process.env['PATH'],
    }).catch((error: unknown) => error);
    expect(failing).toMatchObject({ code: 'failed' });
    expect(JSON.stringify([String(failing), (failing as { detail?: string }).detail])).not.toContain(
      'topsecret',
    );
  });
});

describe('splitWords()', () => {
  test('keeps quoted words together and takes escaped characters as they are', () => {
    expect(splitWords(`pass show "my vault/x" 'it''s' a\\ b ""`)).toEqual([
      'pass',
      'show',
      'my vault/x',
      'its',
      'a b',
      '',
    ]);
    expect(splitWords('  ')).toEqual([]);
  });

  test('refuses a quote that is not closed', () => {
    expect(() => splitWords('a "b')).toThrow(/not closed/);
  });
});
