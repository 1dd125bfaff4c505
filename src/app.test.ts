import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openApp, type App } from './app.ts';
import { openSqliteCatalog } from './catalog/sqlite-catalog.ts';
import { openReplacement } from './protect/replacement.ts';
import { listJournals } from './protect/restore-journal.ts';

let stateDir: string;

beforeEach(() => void (stateDir = mkdtempSync(join(tmpdir(), 'holdfast-app-'))));
afterEach(() => rmSync(stateDir, { recursive: true }));

test('puts a killed restore right before the volumes that it keeps itself are worked on, whatever the host is', async () => {
  const file = join(stateDir, 'volumes', 'data', '_data', 'file');
  {
    await using app = open('embedded');
    await (await app.managed()).create({ name: 'data', driver: 'local', labels: {}, options: {} });
    writeFileSync(file, 'old');
  }
  await leaveHalfRestored(await stateId());
  expect(readFileSync(file, 'utf8')).toBe('new');
  await using app = open(undefined);
  await app.managed();
  expect(readFileSync(file, 'utf8')).toBe('old');
  expect(await listJournals(stateDir)).toEqual([]);
});

test('leaves what was restored on an engine to whoever asks that engine', async () => {
  {
    await using app = open('embedded');
    await (await app.managed()).create({ name: 'data', driver: 'local', labels: {}, options: {} });
  }
  await leaveHalfRestored('an engine');
  await using app = open(undefined);
  await app.managed();
  expect(await listJournals(stateDir)).toMatchObject([{ step: 'back' }]);
});

function open(host: 'embedded' | undefined): App {
  return openApp({
    stateDir,
    host,
    dataWay: 'auto',
    repository: undefined,
    passwordReference: undefined,
    env: {},
  });
}

async function stateId(): Promise<string> {
  using catalog = openSqliteCatalog(join(stateDir, 'catalog.db'));
  return catalog.stateId();
}

/** As a restore leaves it that was killed when its containers had not come up, and it was about to go back. */
async function leaveHalfRestored(hostIdentity: string): Promise<void> {
  const root = join(stateDir, 'volumes', 'data', '_data');
  const member = { kind: 'volume', name: 'data', identity: 'id', root } as const;
  await using replacement = await openReplacement({
    stateDir,
    action: 'restore',
    hostIdentity,
    snapshotIds: [],
    members: [member],
  });
  const made = replacement.newPaths[0] ?? '';
  mkdirSync(made);
  writeFileSync(join(made, 'file'), 'new');
  await replacement.swap([]);
  await replacement.giveUp();
  replacement.leave();
}
