import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { makeStill, type StillRequest } from '../../src/quiesce/still-containers.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { mountLoopFilesystem } from '../support/loop-filesystem.ts';
import {
  type FrozenWorld,
  frozenState,
  guardiansOf,
  openFrozenWorld,
  setFrozenState,
} from './frozen-world.fixture.ts';

const run = promisify(execFile);
const names = ['db', 'web'];

let engine: PrivateEngine;
let world: FrozenWorld;
let groups: string[];
beforeAll(async () => {
  engine = await startPrivateEngine({ hasUnifiedGroups: true });
  await engine.importBusybox();
});
afterAll(() => engine?.[Symbol.asyncDispose]());
beforeEach(async () => {
  world = await openFrozenWorld(engine);
  groups = [];
  for (const name of names) {
    await engine.docker(['run', '-d', '--name', name, 'busybox', 'sleep', '1000']);
    groups.push(await world.groupOf(name));
  }
});
afterEach(async () => {
  await engine.docker(['rm', '-f', ...names]);
  await world[Symbol.asyncDispose]();
  // Not those of the files that run beside.
  expect(guardiansOf(engine.cgroup)).toEqual([]);
});

interface Cancelled {
  readonly error: unknown;
  readonly tookMs: number;
}

/** Makes them still, cancels that a moment after it starts to wait, and returns the outcome. */
async function cancelWhen(isWaiting: () => boolean): Promise<Cancelled> {
  const containers = (await world.host.containers?.list()) ?? [];
  const controller = new AbortController();
  const { signal } = controller;
  let isReady = false;
  const justBefore = async (): Promise<void> => void (isReady = true);
  const request: StillRequest = { containers, how: 'pause', briefMs: 30_000, reason: 'test', justBefore };
  const ended = makeStill(world.access, request, { signal }).then(
    () => undefined,
    (error: unknown) => error,
  );
  await expect.poll(() => isReady && isWaiting()).toBe(true);
  expect(await Promise.race([ended, sleep(200, 'waits')])).toBe('waits');
  const began = performance.now();
  controller.abort();
  return { error: await ended, tookMs: performance.now() - began };
}

async function expectAsBefore({ error, tookMs }: Cancelled): Promise<void> {
  expect(error).toMatchObject({ name: 'AbortError' });
  expect(tookMs).toBeLessThan(15_000);
  expect(groups.flatMap(guardiansOf)).toEqual([]);
  expect(readdirSync(join(world.stateDir, 'journal-apps'))).toEqual([]);
  expect(await engine.docker(['ps', '--format', '{{.State}}'])).toBe('running\nrunning');
}

test('a cancel ends the wait for another program that has a container frozen, and leaves the container to it', async () => {
  const [group = ''] = groups;
  setFrozenState(group, '1');
  try {
    await expectAsBefore(await cancelWhen(() => true));
    expect(groups.map(frozenState)).toEqual(['1', '0']);
  } finally {
    setFrozenState(group, '0');
  }
});

test('a cancel ends the wait for a container that does not come to rest, and all run again', async () => {
  await using stuck = await writeInVain();
  writeFileSync(join(groups[0] ?? '', 'cgroup.procs'), String(stuck.pid));
  await expectAsBefore(await cancelWhen(() => groups.every((group) => frozenState(group) === '1')));
  expect(groups.map(frozenState)).toEqual(['0', '0']);
  expect(stateOf(stuck.pid)).toBe('D');
});

/** A process in the middle of a write to a disk that does not answer until this is disposed. */
async function writeInVain(): Promise<AsyncDisposable & { readonly pid: number | undefined }> {
  await using made = new AsyncDisposableStack();
  const { path } = made.use(mountLoopFilesystem('ext4'));
  await run('fsfreeze', ['--freeze', path]);
  const child = spawn('dd', ['if=/dev/zero', `of=${path}/file`, 'count=1'], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  made.defer(async () => {
    await run('fsfreeze', ['--unfreeze', path]);
    await ended;
  });
  const { pid } = child;
  await expect.poll(() => stateOf(pid)).toBe('D');
  const held = made.move();
  return { pid, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** D means waiting for a disk. */
function stateOf(pid: number | undefined): string | undefined {
  return /\) (\w) /.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1];
}
