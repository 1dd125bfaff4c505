import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSqliteCatalog } from '../../src/catalog/sqlite-catalog.ts';
import { openDrivers } from '../../src/drivers/open-drivers.ts';
import { openManagedHost } from '../../src/volumes/managed/managed-host.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import type { MakingLine } from '../support/make-and-remove.ts';

const worker = join(import.meta.dirname, '../support/make-and-remove.ts');
const prefixes = ['one', 'other'];

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'cut-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The state of a volume's name, as far as its creator could report it. */
interface Story {
  readonly name: string;
  readonly turn: number;
  readonly said: Set<MakingLine['what']>;
}

/** Two programs create and remove volumes, and both are killed at one moment. */
async function workUntilKilled(stateDir: string, workMs: number): Promise<Story[]> {
  const logs = prefixes.map((prefix) => join(folder, `${prefix}.log`));
  const children = prefixes.map((prefix) =>
    spawn(process.execPath, [worker, stateDir, join(folder, `${prefix}.log`), prefix], {
      stdio: ['ignore', 'ignore', 'inherit'],
    }),
  );
  const ends = children.map((child) => once(child, 'exit'));
  await expect.poll(() => logs.every((log) => existsSync(log) && readFileSync(log).length > 0)).toBe(true);
  await sleep(workMs);
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(ends);
  const stories = new Map<string, Story>();
  for (const log of logs) {
    for (const line of readFileSync(log, 'utf8').split('\n').slice(0, -1)) {
      const { what, name, turn } = JSON.parse(line) as MakingLine;
      const key = `${name} ${turn}`;
      const story = stories.get(key) ?? { name, turn, said: new Set() };
      stories.set(key, story);
      story.said.add(what);
    }
    rmSync(log);
  }
  return [...stories.values()];
}

/** Makes the catalog assume a reboot since. */
function forgetBoot(stateDir: string): void {
  const database = new DatabaseSync(join(stateDir, 'catalog.db'));
  database.exec("UPDATE embedded_volume SET unsettled_boot = 'earlier' WHERE unsettled_boot IS NOT NULL");
  database.exec("UPDATE volume_removal SET boot = 'earlier'");
  database.exec("UPDATE volume_removal SET made_in = 'earlier' WHERE made_in IS NOT NULL");
  expect(database.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  database.close();
}

/**
 * Each volume exists or is in the trash as reported, and has its own data or, where that was not durable,
 * none.
 */
async function requireTruth(stateDir: string, stories: readonly Story[]): Promise<void> {
  using catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
  const drivers = openDrivers({ stateDir, secret: async () => Buffer.from('secret') });
  await using host = await openManagedHost({ stateDir, catalog, drivers });
  const inData = (path: string): string[] =>
    readdirSync(path).map((file) => `${file} ${readFileSync(join(path, file), 'utf8')}`);
  const live = new Map<string, string[]>();
  for (const { name, labels, mountpoint } of await host.managed.list())
    live.set(`${name} ${labels['turn']}`, inData(mountpoint));
  const trash = new Map<string, string[]>();
  for (const { name, id, labels } of await host.managed.listTrash())
    trash.set(`${name} ${labels['turn']}`, inData(join(stateDir, 'trash', `${name}.${id}`, '_data')));
  for (const { name, turn, said } of stories) {
    const key = `${name} ${turn}`;
    const words = `${key}, ${[...said].join(', ')}`;
    const found = live.get(key) ?? trash.get(key);
    if (said.has('made')) expect(found, words).toBeDefined();
    if (said.has('removed')) expect([live.has(key), trash.has(key)], words).toEqual([false, true]);
    else if (!said.has('removing')) expect(trash.has(key), words).toBe(false);
    else expect(live.has(key) && trash.has(key), words).toBe(false);
    if (said.has('kept')) expect(found, words).toEqual([`turn ${turn}`]);
    // A file that was not synced may exist without its content.
    else if (found !== undefined) expect([[], ['turn '], [`turn ${turn}`]], words).toContainEqual(found);
  }
  // There are no unknown folders, except for one just being created.
  const known = (await host.managed.list()).map(({ name }) => name);
  const making = stories.filter(({ said }) => !said.has('made')).map(({ name }) => name);
  for (const name of readdirSync(join(stateDir, 'volumes'))) expect([...known, ...making]).toContain(name);
  // A process that changes something finally waits for what others have left unsynced.
  await host.managed.create({ name: 'last', driver: 'local', labels: {}, options: {} });
  await host[Symbol.asyncDispose]();
  expect([catalog.unsettled.list(), catalog.unsettled.listRemovals()]).toEqual([[], []]);
}

describe.each(['ext4', 'xfs', 'btrfs'] as const)('volumes on %s', (type) => {
  test.each([40, 250, 700, 1500])(
    'that are made and removed match the reports after a power cut at %i ms',
    async (workMs) => {
      await using disk = mountLoopFilesystem(type);
      const stateDir = join(disk.path, 'state');
      const stories = await workUntilKilled(stateDir, workMs);
      disk.cutPower();
      forgetBoot(stateDir);
      await requireTruth(stateDir, stories);
      expect(stories.length).toBeGreaterThan(0);
    },
  );
});

test.each([3, 20, 60, 150, 400, 900])(
  'volumes that are made and removed match the reports after a kill at %i ms',
  async (workMs) => {
    const stateDir = join(folder, 'state');
    const stories = await workUntilKilled(stateDir, workMs);
    await requireTruth(stateDir, stories);
    expect(stories.length).toBeGreaterThan(0);
  },
);
