import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type App, openApp } from '../../src/app.ts';
import { isAppError } from '../../src/model/errors.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { attackerUid, compile, prepareAttack } from './attacker.ts';

/** What a restore does as root where another user owns the folder above: nothing of it may reach what is root's. */

let folder: string;
/** The other user's. */
let home: string;
let data: string;
let victim: string;
let program: string;
let untouched: string[];
/** What the snapshots hold, by id. */
const saved = new Map<string, string>();
/** What they hold of one folder. */
const part = new Map<string, string>();

beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'attacks-')));
  chmodSync(folder, 0o711);
  program = compile('swap-names', folder);
  home = join(folder, 'home');
  data = join(home, 'data');
  victim = join(folder, 'victim');
  mkdirSync(home);
  makeTree(data, 'first');
  own(home, { uid: attackerUid, mode: 0o777 });
  // Root's, with the folders of what is restored, and some of the files.
  makeTree(victim, 'secret');
  for (let index = 0; index < 10; index += 2)
    for (const name of readdirSync(join(victim, `d${index}/below`)))
      rmSync(join(victim, `d${index}/below`, name));
  own(victim, { uid: 0, mode: 0o700 });
  untouched = treeFacts(victim);
  saved.clear();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(): App {
  return openApp({
    ...{ stateDir: join(folder, 'state'), repository: join(folder, 'repository') },
    ...{ host: 'embedded', dataWay: 'auto', passwordReference: undefined, env: process.env },
  });
}

function makeTree(root: string, text: string): void {
  for (let index = 0; index < 10; index++) {
    const place = join(root, `d${index}`, 'below');
    mkdirSync(place, { recursive: true });
    for (let file = 0; file < 4; file++) writeFileSync(join(place, `f${file}`), `${text} ${index} ${file}`);
    symlinkSync('f0', join(place, 'symlink'));
    execFileSync('mkfifo', [join(place, 'fifo')]);
  }
  writeFileSync(join(root, 'large'), Buffer.concat([Buffer.from(text), randomBytes(2_500_000)]));
}

function own(root: string, { uid, mode }: { readonly uid: number; readonly mode: number }): void {
  for (const name of ['', ...readdirSync(root, { recursive: true, encoding: 'utf8' })]) {
    lchownSync(join(root, name), uid, uid);
    if (!name.endsWith('symlink')) chmodSync(join(root, name), mode);
  }
}

function seen(root: string): string {
  return treeFacts(root, { without: ['directoryTimes'] }).join('\n');
}

/** Two states, so that each restore changes something. */
async function saveTwice(app: App): Promise<void> {
  await app.init();
  for (const text of ['first', 'second']) {
    for (const name of readdirSync(data)) rmSync(join(data, name), { recursive: true });
    makeTree(data, text);
    own(data, { uid: attackerUid, mode: 0o777 });
    const { outcomes } = await app.backup({ targets: [data], all: false, stacks: [], dryRun: false });
    const id = outcomes[0]?.snapshot?.id ?? '';
    saved.set(id, seen(data));
    part.set(id, seen(join(data, 'd3')));
  }
}

interface Attack {
  readonly what: 'stage' | 'link' | 'target';
  readonly cwd?: string;
  readonly isLockedIn?: boolean;
}

/** Does it again and again under attack. Gives back how often it was said to be done. */
async function under(
  attack: Attack,
  rounds: number,
  work: (round: number) => Promise<void>,
): Promise<number> {
  const { what, cwd = home, isLockedIn = false } = attack;
  const args = [victim, what, ...(isLockedIn ? ['chroot'] : [])];
  const attacker = await prepareAttack(program, args, { uid: isLockedIn ? 0 : attackerUid, cwd });
  attacker.begin();
  let done = 0;
  try {
    for (let round = 0; round < rounds; round++) {
      try {
        await work(round);
        done++;
      } catch (error) {
        // It may fail, in words for people.
        if (!isAppError(error)) throw error;
      }
      expect(treeFacts(victim), `round ${round}`).toEqual(untouched);
    }
  } finally {
    const { given = 0 } = await attacker.end();
    console.log(`${what}: ${done} of ${rounds} were done, a name was given away ${given} times`);
    expect(given).toBeGreaterThan(0);
  }
  return done;
}

async function restore(app: App, id: string, more: { to?: string; path?: string } = {}): Promise<void> {
  const wish = { what: id, to: undefined, path: undefined, safetySnapshot: false, ...more };
  await app.applyRestore(await app.planRestore(wish));
}

function idOf(round: number): string {
  return [...saved.keys()][round % saved.size] ?? '';
}

test('a stage whose name goes to another folder leads a restore nowhere', async () => {
  await using app = open();
  await saveTwice(app);
  const inPlace = async (round: number): Promise<void> => {
    await restore(app, idOf(round));
    expect(seen(data)).toBe(saved.get(idOf(round)));
  };
  await under({ what: 'stage' }, 25, inPlace);
  await under({ what: 'link' }, 15, inPlace);
  await under({ what: 'stage' }, 25, async (round) => {
    const to = join(home, `fresh-${round}`);
    await restore(app, idOf(round), { to });
    expect(seen(to)).toBe(saved.get(idOf(round)));
  });
});

test('nor does a restore of a part go elsewhere, nor an undo', async () => {
  await using app = open();
  await saveTwice(app);
  await under({ what: 'stage' }, 15, async (round) => {
    await restore(app, idOf(round), { path: 'd3' });
    expect(seen(join(data, 'd3'))).toBe(part.get(idOf(round)));
  });
  await under({ what: 'stage' }, 15, async (round) => {
    // What is kept may be lost in a round: that user can move it away for good.
    const was = seen(data);
    await restore(app, idOf(round));
    await app.applyUndo(await app.planUndo({ what: data }));
    expect(seen(data)).toBe(was);
  });
});

test('data whose name goes to another is restored in its place, or not at all', async () => {
  await using app = open();
  await saveTwice(app);
  await under({ what: 'target' }, 25, async (round) => {
    await restore(app, idOf(round));
    // What was restored has one of the two names, and may change it while it is looked for.
    let found: string[] = [];
    for (let looks = 0; looks < 50 && !found.includes(saved.get(idOf(round)) ?? ''); looks++)
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

test('what sees only a volume that is a mount point gets nothing of the host', async () => {
  await using app = open();
  execFileSync('mount', ['--bind', data, data]);
  try {
    await saveTwice(app);
    const attack = { what: 'stage', cwd: data, isLockedIn: true } as const;
    const done = await under(attack, 25, async (round) => await restore(app, idOf(round)));
    expect(done).toBeGreaterThan(0);
  } finally {
    execFileSync('umount', [data]);
  }
});
