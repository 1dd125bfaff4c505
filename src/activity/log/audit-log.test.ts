import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Catalog } from '../../catalog/catalog.ts';
import { openSqliteCatalog } from '../../catalog/sqlite-catalog.ts';
import type { LogEvent } from '../../model/log-entry.ts';
import type { AuditLog } from './audit-log.ts';
import { openAuditLog } from './open-audit-log.ts';

let stateDir: string;
let catalog: Catalog;
let warnings: string[];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'log-'));
  catalog = openSqliteCatalog(':memory:');
  warnings = [];
});
afterEach(() => {
  catalog[Symbol.dispose]();
  rmSync(stateDir, { recursive: true, force: true });
});

function open(options: { readonly segmentBytes?: number; readonly catalog?: Catalog } = {}): AuditLog {
  return openAuditLog({
    stateDir,
    now: () => Date.parse('2026-01-31T12:00:00Z'),
    env: { SUDO_USER: 'alice' },
    onWarning: (message) => void warnings.push(message),
    segmentBytes: options.segmentBytes,
    catalog: async () => options.catalog ?? catalog,
  });
}

const event: LogEvent = { kind: 'backup', outcome: 'good', volume: 'pg', snapshot: 'ab'.repeat(32) };

async function write(count: number, log = open()): Promise<void> {
  for (let i = 0; i < count; i++) expect(await log.record([{ ...event, message: `number ${i}` }])).toBe(true);
}

const folder = (): string => join(stateDir, 'log');
const segments = (): string[] => readdirSync(folder()).sort();
const path = (index = 0): string => join(folder(), segments().at(index) ?? '');
const lines = (): string[] => readFileSync(path(), 'utf8').trimEnd().split('\n');
const putLines = (changed: readonly string[]): void => writeFileSync(path(), `${changed.join('\n')}\n`);

async function problems(): Promise<string[]> {
  return (await open().verify()).problems.map(({ message }) => message);
}

test('entries are listed in order, with who did what, and the log is whole', async () => {
  await write(3);
  const entries = await open().list({});
  expect(entries.map(({ sequence, message }) => [sequence, message])).toEqual([
    [1, 'number 0'],
    [2, 'number 1'],
    [3, 'number 2'],
  ]);
  expect(entries[0]).toMatchObject({ ...event, time: '2026-01-31T12:00:00.000Z' });
  expect(entries[0]?.by).toMatch(/^alice as /);
  expect(await open().verify()).toMatchObject({
    entries: 3,
    firstSequence: 1,
    lastSequence: 3,
    head: entries[2]?.mac,
    gaps: [],
    problems: [],
  });
});

test('an empty log is whole, and no file is made for it', async () => {
  expect(await open().verify()).toMatchObject({ entries: 0, problems: [] });
  expect(await open().list({})).toEqual([]);
  expect(readdirSync(stateDir)).toEqual([]);
});

test('only the owner may read it and its key', async () => {
  await write(1);
  expect(statSync(path()).mode & 0o777).toBe(0o600);
  expect(statSync(folder()).mode & 0o777).toBe(0o700);
  expect(statSync(join(stateDir, 'keys/log.secret')).mode & 0o777).toBe(0o600);
});

test('entries are filtered by volume, kind, time and number', async () => {
  const log = open();
  await log.record([event, { ...event, volume: 'web' }, { kind: 'prune', outcome: 'good' }]);
  const numbers = async (filter: Parameters<AuditLog['list']>[0]) =>
    (await log.list(filter)).map(({ sequence }) => sequence);
  expect(await numbers({ volume: 'web' })).toEqual([2]);
  expect(await numbers({ kinds: ['prune'] })).toEqual([3]);
  expect(await numbers({ limit: 2 })).toEqual([2, 3]);
  expect(await numbers({ limit: 0 })).toEqual([]);
  expect(await numbers({ sinceMs: Date.parse('2026-01-31T12:00:00Z') })).toEqual([1, 2, 3]);
  expect(await numbers({ sinceMs: Date.parse('2026-01-31T12:00:01Z') })).toEqual([]);
});

test('the log goes on in a new file when one is large enough, as one chain', async () => {
  await write(20, open({ segmentBytes: 1000 }));
  expect(segments().length).toBeGreaterThan(3);
  expect(await open().verify()).toMatchObject({ entries: 20, problems: [], gaps: [] });
  expect((await open().list({ limit: 15 })).map(({ sequence }) => sequence)[0]).toBe(6);
});

test('no secret of an address or a header reaches the log', async () => {
  await open().record([
    {
      ...event,
      message: 'Cannot reach sftp://joe:hunter2@host/x: Authorization: Bearer abc.def, password=xyz',
    },
  ]);
  const text = readFileSync(path(), 'utf8');
  for (const secret of ['hunter2', 'abc.def', 'xyz']) expect(text).not.toContain(secret);
  expect(text).toContain('@host/x');
});

test('hostile names stay on their line', async () => {
  await open().record([{ ...event, volume: 'a\nb","mac":"' }, event]);
  expect(lines()).toHaveLength(2);
  expect((await open().list({}))[0]?.volume).toBe('a\nb","mac":"');
  expect(await problems()).toEqual([]);
});

describe('verify reports tampering:', () => {
  beforeEach(() => write(6));

  test('a changed letter', async () => {
    putLines(lines().map((line, i) => (i === 2 ? line.replace('number 2', 'number 9') : line)));
    expect((await problems()).join()).toContain('Entry 3 was changed or forged');
  });

  test('an entry that was removed', async () => {
    putLines(lines().filter((_, i) => i !== 2));
    expect(await problems()).toEqual(['Entries 3 to 3 are missing']);
  });

  test('entries that were swapped', async () => {
    const [a = '', b = '', ...rest] = lines();
    putLines([b, a, ...rest]);
    expect(await problems()).not.toEqual([]);
  });

  test('an entry that was duplicated', async () => {
    const all = lines();
    putLines([...all.slice(0, 3), all[2] ?? '', ...all.slice(3)]);
    expect(await problems()).toEqual(['Entry 3 stands in the wrong place']);
  });

  test('an end that was cut off, which the next entry then reports for good', async () => {
    putLines(lines().slice(0, 4));
    expect(await problems()).toEqual(['Entries 5 to 6 were cut off']);
    await write(1);
    expect((await problems()).join()).toContain('Entries 5 to 6 are missing');
    expect((await open().list({ limit: 1 }))[0]?.sequence).toBe(8);
  });

  test('a log that was removed', async () => {
    rmSync(folder(), { recursive: true });
    expect(await problems()).toEqual(['Entries 1 to 6 were cut off']);
    await write(1);
    expect((await problems()).join()).toContain('Entries 1 to 6 are missing');
  });

  test('a first file that was removed', async () => {
    await write(20, open({ segmentBytes: 1000 }));
    rmSync(path(0));
    expect((await problems())[0]).toMatch(/^Entries 1 to \d+ are missing$/);
  });

  test('an entry that was written without the key', async () => {
    const forged = (lines()[5] ?? '').replace('"sequence":6', '"sequence":7');
    appendFileSync(path(), `${forged}\n`);
    expect(await problems()).toEqual(['Entry 7 was changed or forged']);
    await write(1);
    expect((await problems()).join()).toContain('no entries that this key has signed');
  });

  test('an anchor that was moved back together with the log', async () => {
    const all = await open().list({});
    const before = all[3];
    putLines(lines().slice(0, 4));
    catalog.setLogAnchor({ sequence: 4, mac: before?.mac ?? '', seal: catalog.logAnchor()?.seal ?? '' });
    expect((await problems()).join()).toContain('not signed with its key');
  });

  test('a lost catalog, which is reported once more but is harmless', async () => {
    using other = openSqliteCatalog(':memory:');
    const log = open({ catalog: other });
    expect((await log.verify()).problems[0]?.message).toContain('does not know where the log ends');
    await write(1, log);
    expect(await log.verify()).toMatchObject({ entries: 8, problems: [], gaps: [{ sequence: 7 }] });
  });

  test('a lost key: the log goes on with a new one, and earlier entries are not proven', async () => {
    rmSync(join(stateDir, 'keys/log.secret'));
    await expect(open().verify()).rejects.toThrow('its key is not there');
    await write(1);
    const found = await problems();
    expect(found.filter((message) => message.includes('changed or forged'))).toHaveLength(6);
    expect(found.join()).toContain('key was lost and made anew');
  });

  test('any byte that is changed', async () => {
    const whole = readFileSync(path());
    for (let at = 0; at < whole.length; at += 37) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 1;
      writeFileSync(path(), changed);
      expect(await problems(), `byte ${at}`).not.toEqual([]);
    }
    writeFileSync(path(), whole);
    expect(await problems()).toEqual([]);
  });

  test('a cut at any place', async () => {
    const whole = readFileSync(path());
    for (let at = 0; at < whole.length - 1; at += 29) {
      writeFileSync(path(), whole.subarray(0, at));
      expect(await problems(), `byte ${at}`).not.toEqual([]);
    }
  });
});

describe('an interruption is not tampering:', () => {
  beforeEach(() => write(3));

  test('an unfinished line is cut off, and the next entry reports it', async () => {
    appendFileSync(path(), '{"sequence":4,"time":"2026');
    await write(1);
    expect(await open().verify()).toMatchObject({
      entries: 5,
      problems: [],
      gaps: [{ sequence: 4, message: expect.stringContaining('not finished') as string }],
    });
  });

  test('bytes that the file system never wrote', async () => {
    appendFileSync(path(), Buffer.alloc(5000));
    await write(1);
    expect(await open().verify()).toMatchObject({ entries: 5, problems: [], gaps: [{ sequence: 4 }] });
  });

  test('a line that lacks only its line end', async () => {
    truncateSync(path(), statSync(path()).size - 1);
    expect(await problems()).toEqual([]);
    await write(1);
    expect(await open().verify()).toMatchObject({ entries: 4, problems: [], gaps: [] });
  });

  test('an entry that the catalog has not recorded', async () => {
    const anchor = catalog.logAnchor();
    await write(1);
    if (anchor !== undefined) catalog.setLogAnchor(anchor);
    expect(await problems()).toEqual([]);
    await write(1);
    expect(await open().verify()).toMatchObject({ entries: 5, problems: [], gaps: [] });
  });

  test('a new file that is still empty', async () => {
    writeFileSync(join(folder(), 'log-000000000004.jsonl'), '');
    await write(2);
    expect(segments()).toHaveLength(2);
    expect(await open().verify()).toMatchObject({ entries: 5, problems: [], gaps: [] });
  });
});

test('an entry that cannot be written is a warning, and the log reports the gap', async () => {
  await write(1);
  const file = path();
  const content = readFileSync(file);
  rmSync(file);
  // A folder in the place of the file makes every write fail.
  const { mkdirSync } = await import('node:fs');
  mkdirSync(file);
  expect(await open().record([event, event])).toBe(false);
  expect(await open().record([event])).toBe(false);
  expect(warnings[0]).toMatch(/^Cannot write to the log in ".*": /);
  rmSync(file, { recursive: true });
  writeFileSync(file, content);
  await write(1);
  expect(await open().verify()).toMatchObject({
    entries: 3,
    problems: [],
    gaps: [{ message: expect.stringContaining('3 entries could not be written') as string }],
  });
});
