import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { exchange, renameToNew } from './exchange.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-exchange-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('exchange() swaps two directories with their content', () => {
  for (const name of ['a', 'b']) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, `was-in-${name}`), '');
  }
  exchange(join(folder, 'a'), join(folder, 'b'));
  expect(readdirSync(join(folder, 'a'))).toEqual(['was-in-b']);
  expect(readdirSync(join(folder, 'b'))).toEqual(['was-in-a']);
});

test('exchange() takes names of any bytes, and fails with the errno when one is missing', () => {
  writeFileSync(Buffer.from(`${folder}/x\xff`, 'latin1'), '1');
  writeFileSync(join(folder, 'y'), '22');
  exchange(`${folder}/x\xff`, `${folder}/y`);
  expect(() => exchange(`${folder}/x\xff`, `${folder}/none`)).toThrow(
    expect.objectContaining({ code: 'ENOENT' }),
  );
});

test('renameToNew() gives a name that is free, and replaces nothing', () => {
  for (const name of ['a', 'b']) writeFileSync(join(folder, name), `was ${name}`);
  renameToNew(join(folder, 'a'), join(folder, 'c'));
  expect(readFileSync(join(folder, 'c'), 'utf8')).toBe('was a');
  expect(() => renameToNew(join(folder, 'c'), join(folder, 'b'))).toThrow(
    expect.objectContaining({ code: 'EEXIST' }),
  );
  expect(readFileSync(join(folder, 'b'), 'utf8')).toBe('was b');
});
