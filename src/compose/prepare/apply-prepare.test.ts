import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { VolumeSpec } from '../../model/volume.ts';
import { AppError } from '../../model/errors.ts';
import { applyPrepare, type PrepareOutcome } from './apply-prepare.ts';
import type { FolderStep } from './plan-prepare.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'prepare-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const isRoot = process.getuid?.() === 0;
/** Another user only where this one may give something to it. */
const other = isRoot
  ? { uid: 1234, gid: 1235 }
  : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

function step(path: string, more: Partial<FolderStep> = {}): FolderStep {
  const position = { file: '/compose.yaml', line: 1, column: 1 };
  return { kind: 'folder', path, owner: undefined, mode: 0o755, because: '', usedBy: [], position, ...more };
}

async function make(...steps: FolderStep[]): Promise<readonly PrepareOutcome[]> {
  return await applyPrepare({ steps }, { volumes: () => Promise.reject(new Error('none is asked for')) });
}

test('makes a folder with its owner and mode, and those above it like the folder that they are in', async () => {
  chownSync(folder, other.uid, other.gid);
  const path = join(folder, 'a/b/data');
  const [outcome] = await make(step(path, { owner: { uid: other.uid, gid: other.gid }, mode: 0o700 }));
  expect(outcome).toMatchObject({ outcome: 'made', error: undefined });
  expect(statSync(path)).toMatchObject({ uid: other.uid, gid: other.gid });
  expect(statSync(path).mode & 0o7777).toBe(0o700);
  expect(statSync(join(folder, 'a/b'))).toMatchObject({ uid: other.uid, gid: other.gid });
  expect(statSync(join(folder, 'a/b')).mode & 0o7777).toBe(0o755);
  expect(readdirSync(join(folder, 'a/b'))).toEqual(['data']);
});

test('leaves alone what is there by then, whatever it is', async () => {
  const path = join(folder, 'data');
  mkdirSync(path, { mode: 0o711 });
  chmodSync(path, 0o711);
  writeFileSync(join(folder, 'file'), 'kept');
  symlinkSync('/nowhere', join(folder, 'link'));
  const before = [path, join(folder, 'file')].map((name) => statSync(name).ctimeMs);
  const outcomes = await make(
    step(path, { owner: other, mode: 0o700 }),
    step(join(folder, 'file')),
    step(join(folder, 'link')),
  );
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(['there', 'there', 'there']);
  expect([path, join(folder, 'file')].map((name) => statSync(name).ctimeMs)).toEqual(before);
  expect(readdirSync(folder).toSorted()).toEqual(['data', 'file', 'link']);
});

test('completes what a killed run has left half made', async () => {
  mkdirSync(join(folder, '.data.holdfast-prepare'), { mode: 0o700 });
  const [outcome] = await make(step(join(folder, 'data'), { mode: 0o750 }));
  expect(outcome?.outcome).toBe('made');
  expect(readdirSync(folder)).toEqual(['data']);
  expect(statSync(join(folder, 'data')).mode & 0o7777).toBe(0o750);
});

test('never takes over a folder with data under the name of a draft', async () => {
  mkdirSync(join(folder, '.data.holdfast-prepare'));
  writeFileSync(join(folder, '.data.holdfast-prepare/mine'), 'kept');
  const [outcome] = await make(step(join(folder, 'data'), { owner: other }));
  expect(outcome).toMatchObject({ outcome: 'failed', error: expect.any(AppError) });
  expect(existsSync(join(folder, '.data.holdfast-prepare/mine'))).toBe(true);
  expect(existsSync(join(folder, 'data'))).toBe(false);
});

test.runIf(isRoot)('does not go through a link that another user has put on the way', async () => {
  const theirs = join(folder, 'theirs');
  const precious = join(folder, 'precious');
  mkdirSync(theirs);
  mkdirSync(precious);
  chownSync(theirs, other.uid, other.gid);
  symlinkSync(precious, join(theirs, 'data'));
  const [outcome] = await make(step(join(theirs, 'data/db'), { owner: other }));
  expect(outcome).toMatchObject({ outcome: 'failed', error: expect.objectContaining({ code: 'denied' }) });
  expect(readdirSync(precious)).toEqual([]);
});

test('a step that fails does not keep the others, and a file in the way is said', async () => {
  writeFileSync(join(folder, 'file'), '');
  const outcomes = await make(step(join(folder, 'file/below')), step(join(folder, 'good')));
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(['failed', 'made']);
  expect(outcomes[0]?.error?.message).toContain(`Cannot make "${join(folder, 'file/below')}"`);
});

test('makes nothing more once it is cancelled', async () => {
  const work = applyPrepare(
    { steps: [step(join(folder, 'data'))] },
    { volumes: () => Promise.reject(new Error('none')), signal: AbortSignal.abort() },
  );
  await expect(work).rejects.toMatchObject({ code: 'cancelled' });
  expect(readdirSync(folder)).toEqual([]);
});

test('asks for volumes with what they are to be', async () => {
  const asked: VolumeSpec[] = [];
  const spec = { name: 'secret', driver: 'holdfast', options: { type: 'luks', size: '1g' }, labels: {} };
  const position = { file: '/compose.yaml', line: 1, column: 1 };
  const create = async (wanted: VolumeSpec): Promise<never> => {
    asked.push(wanted);
    throw new AppError('unavailable', 'the plugin is away');
  };
  const outcomes = await applyPrepare(
    { steps: [{ kind: 'volume', spec, isEncrypted: true, position }] },
    { volumes: async () => ({ create }) },
  );
  expect(asked).toEqual([spec]);
  expect(outcomes[0]).toMatchObject({ outcome: 'failed', error: { message: 'the plugin is away' } });
});

/** Makes folders in a process of its own, which kills itself at one of the steps: just before or after a call. */
const killed = `
  import fs from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  const [, module, steps, at] = process.argv;
  const step = () => void (left-- === 0 && process.kill(process.pid, 'SIGKILL'));
  let left = Number(at);
  for (const name of ['mkdirSync', 'chmodSync']) {
    const call = fs[name];
    fs[name] = (...args) => {
      step();
      call(...args);
      step();
    };
  }
  syncBuiltinESMExports();
  const { applyPrepare } = await import(module);
  await applyPrepare({ steps: JSON.parse(steps) }, {});
`;

test('a kill at each of its steps leaves whole folders only, and the next call completes the rest', async () => {
  const wanted = { a: 0o755, 'a/b': 0o755, 'a/b/data': 0o700, logs: 0o750 };
  const made = (root: string): Record<string, string> =>
    Object.fromEntries(
      readdirSync(root, { recursive: true, encoding: 'utf8' })
        .toSorted()
        .map((name) => {
          const { uid, gid, mode } = statSync(join(root, name));
          return [name, `${uid}:${gid} ${(mode & 0o7777).toString(8)}`];
        }),
    );
  const own = `${process.geteuid?.()}:${process.getegid?.()}`;
  const all: Record<string, string> = Object.fromEntries(
    Object.entries(wanted).map(([name, mode]) => [
      name,
      `${/data|logs/.test(name) ? `${other.uid}:${other.gid}` : own} ${mode.toString(8)}`,
    ]),
  );
  const ends: (string | null)[] = [];
  for (let at = 0; at < 50 && ends.at(-1) !== null; at++) {
    const root = join(folder, `${at}`);
    mkdirSync(root);
    const steps = [
      step(join(root, 'a/b/data'), { owner: other, mode: 0o700 }),
      step(join(root, 'logs'), { owner: other, mode: 0o750 }),
    ];
    const module = new URL('apply-prepare.ts', import.meta.url).href;
    const args = ['--input-type=module', '-e', killed, module, JSON.stringify(steps), `${at}`];
    ends.push(spawnSync(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] }).signal);
    for (const [name, facts] of Object.entries(made(root)))
      if (!name.includes('.holdfast-prepare')) expect(facts).toBe(all[name]);
    await make(...steps);
    expect(made(root)).toEqual(all);
  }
  // Four folders, each with two calls, and a kill before and after each.
  expect(ends).toEqual([...Array.from({ length: 16 }, () => 'SIGKILL'), null]);
}, 120_000);
