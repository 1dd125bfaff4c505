import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { openConfigurationSource } from './configuration-source.ts';

let stateDir: string;
let file: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'source-'));
  file = join(stateDir, 'holdfast.yaml');
  return () => {
    chmodSync(stateDir, 0o700);
    rmSync(stateDir, { recursive: true });
  };
});

const open = (configFile?: string) => openConfigurationSource({ stateDir, configFile });
const names = ({ policies }: { readonly policies: readonly { readonly name: string }[] }): string[] =>
  policies.map(({ name }) => name);
const one = `policies: { one: { schedule: '@daily' } }`;
const two = `policies: { two: { schedule: '@daily' } }`;

test('a reload puts a configuration in force; before the first one, the file is read each time', async () => {
  writeFileSync(file, two);
  const source = open();
  expect(names(await source.current())).toEqual(['two']);
  writeFileSync(file, one);
  expect(names(await source.current())).toEqual(['one']);
  await source.reload();
  writeFileSync(file, two);
  expect(names(await source.current())).toEqual(['one']);
  expect(names((await source.reload()).configuration)).toEqual(['two']);
  expect(names(await source.current())).toEqual(['two']);
});

test('an unusable file leaves the earlier configuration in force, in later programs as well', async () => {
  writeFileSync(file, one);
  expect((await open().reload()).problem).toBeUndefined();
  for (const [content, message] of [
    ['policies: [', 'cannot be used'],
    ['policies: { one: { schedule: 61 } }', 'cannot be used'],
    ['', 'it is empty'],
    ['# policies: {}\n\n', 'it is empty'],
    [undefined, 'is gone'],
  ] as const) {
    if (content === undefined) rmSync(file);
    else writeFileSync(file, content);
    const source = open();
    expect(names(await source.upcoming())).toEqual(['one']);
    const { configuration, problem } = await source.reload();
    expect(names(configuration)).toEqual(['one']);
    expect(problem?.message).toContain(message);
    expect((await source.problem())?.message).toContain(message);
    expect(names(await source.current())).toEqual(['one']);
    // A command that reads the file itself gets the error, and reports it over the earlier configuration's
    // channels.
    if (content === 'policies: [') {
      await expect(open().current()).rejects.toMatchObject({ code: 'usage' });
      expect(names(await open().lastUsable())).toEqual(['one']);
    }
  }
  writeFileSync(file, 'policies: {}');
  expect(names((await open().reload()).configuration)).toEqual([]);
});

test('a file that was only looked at before it is put in force is judged by the one that was in force', async () => {
  writeFileSync(file, one);
  await open().reload();
  for (const content of ['', undefined]) {
    if (content === undefined) rmSync(file);
    else writeFileSync(file, content);
    const source = open();
    expect(names(await source.current())).toEqual([]);
    const { configuration, problem } = await source.reload();
    expect(names(configuration)).toEqual(['one']);
    expect(problem).toBeDefined();
  }
});

test('without one before, a file that cannot be used is an error, and none is as good as an empty one', async () => {
  expect(names((await open().reload()).configuration)).toEqual([]);
  writeFileSync(file, 'policies: [');
  await expect(open().reload()).rejects.toMatchObject({ code: 'usage' });
  await expect(open().upcoming()).rejects.toMatchObject({ code: 'usage' });
  await expect(open().lastUsable()).rejects.toMatchObject({ code: 'usage' });
});

test('a copy is private, stands in for its own file only, and is written when it changes', async () => {
  writeFileSync(file, one);
  const other = join(stateDir, 'other.yaml');
  writeFileSync(other, two);
  await open().reload();
  await open(other).reload();
  const copies = readdirSync(stateDir).filter((name) => name.startsWith('configuration'));
  expect(copies).toHaveLength(2);
  const stats = copies.map((name) => statSync(join(stateDir, name)));
  expect(stats.map(({ mode }) => mode & 0o777)).toEqual([0o600, 0o600]);
  await open().reload();
  expect(copies.map((name) => statSync(join(stateDir, name)).ino)).toEqual(stats.map(({ ino }) => ino));
  writeFileSync(other, 'policies: [');
  expect(names((await open(other).reload()).configuration)).toEqual(['two']);
});

test('a copy that other users can write to is refused when it names commands', async () => {
  const channel = `notify: { a: { type: ntfy, url: 'https://ntfy.example/a', token: 'exec:show token' } }`;
  writeFileSync(file, channel);
  await open().reload();
  writeFileSync(file, 'policies: [');
  expect((await open().reload()).configuration.notify).toHaveLength(1);
  chmodSync(join(stateDir, 'configuration.json'), 0o666);
  await expect(open().reload()).rejects.toMatchObject({ code: 'usage' });
});
