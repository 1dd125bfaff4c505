import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteCatalog } from './sqlite-catalog.ts';

const writer = fileURLToPath(new URL('../../test/support/catalog-writer.ts', import.meta.url));

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'catalog-'));
  path = join(folder, 'catalog.db');
});

afterEach(() => rmSync(folder, { recursive: true }));

interface Writer {
  readonly process: ChildProcess;
  /** Numbers of the runs that it reported as saved. */
  readonly saved: () => number[];
  /** Its remaining output, once it has ended. */
  readonly gone: Promise<{ code: number | null; errors: string }>;
}

function startWriter(name: string, count: number): Writer {
  const child = spawn(process.execPath, [writer, path, name, String(count)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const gone = once(child, 'close').then(() => ({ code: child.exitCode, errors }));
  const saved = () =>
    output
      .slice(0, output.lastIndexOf('\n') + 1)
      .trim()
      .split('\n')
      .filter(Boolean)
      .map(Number);
  return { process: child, saved, gone };
}

function storedRuns(name: string): number[] {
  using catalog = openSqliteCatalog(path);
  return catalog
    .listRuns({ volumeIdentity: name, limit: 1_000_000 })
    .map(({ snapshotId }) => Number(snapshotId))
    .toReversed();
}

function integrity(): unknown {
  const database = new DatabaseSync(path);
  try {
    return database.prepare('PRAGMA integrity_check').get()?.['integrity_check'];
  } finally {
    database.close();
  }
}

test('eight processes that make the catalog and write to it at once lose nothing', async () => {
  const names = Array.from({ length: 8 }, (_, index) => `writer-${index}`);
  const writers = names.map((name) => startWriter(name, 40));
  for (const { gone } of writers) expect(await gone).toEqual({ code: 0, errors: '' });
  const all = Array.from({ length: 40 }, (_, index) => index);
  for (const name of names) expect(storedRuns(name)).toEqual(all);
  using catalog = openSqliteCatalog(path);
  for (const name of names) expect(catalog.volumeIdentity('host', `${name}-39`)).toBe(name);
});

test('a process killed while writing leaves an intact catalog with everything that it reported as saved', async () => {
  const rounds = 8;
  for (let round = 0; round < rounds; round += 1) {
    const name = `victim-${round}`;
    const victim = startWriter(name, 1_000_000);
    // The first rounds may end while the catalog is being created.
    await pause(40 + round * 35 + Math.random() * 30);
    if (round === rounds - 1) await expect.poll(() => victim.saved().length).not.toBe(0);
    victim.process.kill('SIGKILL');
    await victim.gone;
    const saved = victim.saved();
    const stored = storedRuns(name);
    expect(stored.slice(0, saved.length)).toEqual(saved);
    // The last one may have been saved without being reported.
    expect(stored.length - saved.length).toBeLessThanOrEqual(1);
    expect(integrity()).toBe('ok');
  }
});
