import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqliteCatalog } from '../../catalog/sqlite-catalog.ts';
import type { LogEntry } from '../../model/log-entry.ts';
import type { LogVerification } from './audit-log.ts';
import { openAuditLog } from './open-audit-log.ts';

const writer = fileURLToPath(new URL('../../../test/support/log-writer.ts', import.meta.url));

let stateDir: string;

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'log-'));
});
afterEach(() => rmSync(stateDir, { recursive: true }));

interface Writer {
  kill(): void;
  /** Resolves when the process reports its first written entry, or exits. */
  readonly hasBegun: Promise<unknown>;
  /** The numbers that the process reported as written, and its stderr, once it has exited. */
  readonly gone: Promise<{ written: number[]; errors: string }>;
}

function startWriter(name: string, count: number): Writer {
  const child = spawn(process.execPath, [writer, stateDir, name, String(count)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const whole = (): number[] => output.split('\n').slice(0, -1).map(Number);
  return {
    kill: () => void child.kill('SIGKILL'),
    hasBegun: Promise.race([once(child.stdout, 'data'), once(child, 'close')]),
    gone: once(child, 'close').then(() => ({ written: whole(), errors })),
  };
}

async function read(): Promise<{ entries: LogEntry[]; found: LogVerification }> {
  using catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
  const log = openAuditLog({ stateDir, now: Date.now, env: {}, catalog: async () => catalog });
  return { entries: await log.list({}), found: await log.verify() };
}

test('several processes write at once, and nothing is lost, doubled or out of order', async () => {
  const names = ['a', 'b', 'c', 'd'];
  const ended = await Promise.all(names.map((name) => startWriter(name, 40).gone));
  expect(ended.map(({ errors }) => errors).join('')).toBe('');
  const { entries, found } = await read();
  expect(found).toMatchObject({ entries: 160, lastSequence: 160, problems: [], gaps: [] });
  for (const name of names) {
    const own = entries.filter(({ volume }) => volume === name).map(({ message }) => Number(message));
    expect(own).toEqual(Array.from({ length: 40 }, (_, i) => i));
  }
});

test('kills at any moment lose no entry that was reported as written, and the chain goes on', async () => {
  const promised = new Map<string, number[]>();
  for (let round = 0; round < 12; round++) {
    const name = `w${round}`;
    const running = startWriter(name, 100_000);
    // A busy machine may take long to start the process: half of them are certain to be killed while they
    // write.
    if (round % 2 === 0) await running.hasBegun;
    await pause((round % 2 === 0 ? 0 : 250) + ((round * 37) % 100));
    running.kill();
    promised.set(name, (await running.gone).written);
  }
  expect((await startWriter('last', 1).gone).written).toEqual([0]);
  const { entries, found } = await read();
  expect(found.problems).toEqual([]);
  for (const [name, numbers] of promised) {
    const own = entries.filter(({ volume }) => volume === name).map(({ message }) => Number(message));
    expect(own.slice(0, numbers.length), name).toEqual(numbers);
  }
  expect(Math.max(...[...promised.values()].map(({ length }) => length))).toBeGreaterThan(0);
});
