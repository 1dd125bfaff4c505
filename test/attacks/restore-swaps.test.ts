import { execFileSync } from 'node:child_process';
import { lchownSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { App } from '../../src/app/app.ts';
import { openApp } from '../../src/app.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { attackerUid } from './attacker.ts';
import { makeSwapScene, makeTree, own, type SwapScene } from './swap-scene.ts';

/** Restores as root where another user owns the parent folder: none of it may reach root's files. */

let scene: SwapScene;
let home: string;
let data: string;
/** The snapshots' contents, by id. */
const saved = new Map<string, string>();
/** Their contents of one folder. */
const part = new Map<string, string>();

beforeEach(() => {
  scene = makeSwapScene();
  ({ home, data } = scene);
  saved.clear();
});
afterEach(() => scene[Symbol.dispose]());

async function open(): Promise<App> {
  const app = openApp({
    ...{ stateDir: join(scene.folder, 'state'), repository: join(scene.folder, 'repository') },
    ...{ host: 'embedded', dataWay: 'auto', passwordReference: undefined, env: process.env },
  });
  await app.recoverAtStart('host');
  return app;
}

function seen(root: string): string {
  return treeFacts(root, { without: ['directoryTimes'] }).join('\n');
}

/** Two states, so that each restore changes something. */
async function saveTwice(app: App): Promise<void> {
  await app.repositories.init();
  for (const text of ['first', 'second']) {
    for (const name of readdirSync(data)) rmSync(join(data, name), { recursive: true });
    makeTree(data, text);
    own(data, { uid: attackerUid, mode: 0o777 });
    const { outcomes } = await app.backup.run({ targets: [data], all: false, stacks: [], dryRun: false });
    const id = outcomes[0]?.snapshot?.id ?? '';
    saved.set(id, seen(data));
    part.set(id, seen(join(data, 'd3')));
  }
}

async function restore(app: App, id: string, more: { to?: string; path?: string } = {}): Promise<void> {
  const request = { what: id, to: undefined, path: undefined, safetySnapshot: false, ...more };
  await app.restore.apply(await app.restore.plan(request));
}

function idOf(round: number): string {
  return [...saved.keys()][round % saved.size] ?? '';
}

test('a stage whose name another folder takes leads a restore nowhere', async () => {
  await using app = await open();
  await saveTwice(app);
  const inPlace = async (round: number): Promise<void> => {
    await restore(app, idOf(round));
    expect(seen(data)).toBe(saved.get(idOf(round)));
  };
  await scene.under({ what: 'stage' }, 25, inPlace);
  await scene.under({ what: 'link' }, 15, inPlace);
  await scene.under({ what: 'stage' }, 25, async (round) => {
    const to = join(home, `fresh-${round}`);
    await restore(app, idOf(round), { to });
    expect(seen(to)).toBe(saved.get(idOf(round)));
  });
});

test('nor is a partial restore or an undo led elsewhere', async () => {
  await using app = await open();
  await saveTwice(app);
  await scene.under({ what: 'stage' }, 15, async (round) => {
    await restore(app, idOf(round), { path: 'd3' });
    expect(seen(join(data, 'd3'))).toBe(part.get(idOf(round)));
  });
  await scene.under({ what: 'stage' }, 15, async (round) => {
    // Kept data may be lost in a round, because that user can move it away.
    const was = seen(data);
    await restore(app, idOf(round));
    await app.restore.applyUndo(await app.restore.planUndo({ what: data }));
    expect(seen(data)).toBe(was);
  });
});

test('data whose name another directory takes is restored in its place, or not at all', async () => {
  await using app = await open();
  await saveTwice(app);
  await scene.under({ what: 'target' }, 25, async (round) => {
    await restore(app, idOf(round));
    // The restored data has one of the two names, which may change during the look.
    let found: string[] = [];
    for (let looks = 0; looks < 2000 && !found.includes(saved.get(idOf(round)) ?? ''); looks++)
      found = [data, join(home, 'link')].map(seenOrNothing);
    expect(found).toContain(saved.get(idOf(round)));
  });
});

function seenOrNothing(root: string): string {
  try {
    return seen(root);
  } catch {
    return '';
  }
}

test('a process that sees only a mounted volume gets nothing of the host', async () => {
  await using app = await open();
  execFileSync('mount', ['--bind', data, data]);
  try {
    await saveTwice(app);
    const attack = { what: 'stage', cwd: data, isLockedIn: true } as const;
    const done = await scene.under(attack, 25, async (round) => await restore(app, idOf(round)));
    expect(done).toBeGreaterThan(0);
  } finally {
    execFileSync('umount', [data]);
  }
});

test('behind a link of another user, a directory is restored in place only where it was saved, and only on request', async () => {
  const [real, link] = [join(scene.folder, 'disk'), join(home, 'docker')];
  makeTree(real, 'first');
  own(real, { uid: 0, mode: 0o755 });
  symlinkSync(real, link);
  lchownSync(link, attackerUid, attackerUid);
  const [name, place] = [join(link, 'd3'), join(real, 'd3')];
  await using app = await open();
  await app.repositories.init();
  const notes: string[] = [];
  const onNote = (note: string): void => void notes.push(note);
  const request = { targets: [name], all: false, stacks: [], dryRun: false };
  const { outcomes } = await app.backup.run(request, { onNote });
  const id = outcomes[0]?.snapshot?.id ?? '';
  expect(notes.join()).toContain(`it takes --to "${place}"`);
  const before = seen(place);
  writeFileSync(join(place, 'came-later'), 'x');
  await expect(restore(app, id)).rejects.toMatchObject({
    code: 'denied',
    hint: expect.stringContaining(`holdfast restore ${id.slice(0, 8)} --to "${place}"`) as string,
  });
  await restore(app, id, { to: place });
  expect(seen(place)).toBe(before);
  // By its saved name, every command sees the same one.
  expect((await app.restore.listUndo()).map((one) => one.name)).toEqual([name]);
  const untouched = seen(scene.victim);
  const planned = await app.restore.plan({ what: id, to: place, path: undefined, safetySnapshot: true });
  rmSync(link);
  symlinkSync(scene.victim, link);
  lchownSync(link, attackerUid, attackerUid);
  await expect(app.restore.apply(planned)).rejects.toMatchObject({ code: 'conflict' });
  await expect(app.restore.planUndo({ what: name })).rejects.toMatchObject({ code: 'conflict' });
  await expect(restore(app, id)).rejects.toMatchObject({
    hint: expect.stringContaining('leads somewhere else now') as string,
  });
  for (const to of [place, join(scene.victim, 'd3')])
    await expect(restore(app, id, { to })).rejects.toMatchObject({ code: 'exists' });
  expect(seen(scene.victim)).toBe(untouched);
});
