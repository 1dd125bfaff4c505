import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { memoryContainers, type MemoryContainers } from '../../../test/fixtures/containers.ts';
import type { JobOptions } from '../../activity/job-options.ts';
import type { AppStep } from '../plan-containers.ts';
import { type Freezing, freezingWith } from './freezing.ts';

let folder: string;
let containers: MemoryContainers;
const lost = { now: Promise.withResolvers<void>() };
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-freezing-'));
  containers = memoryContainers();
  lost.now = Promise.withResolvers();
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Files like a control group's, without a kernel: the container never comes to rest by itself. */
function stepOf(name: string): AppStep {
  const group = join(folder, name);
  mkdirSync(group);
  writeFileSync(join(group, 'cgroup.freeze'), '0');
  tellFrozen(name, '0');
  const identity = containers.add({ name });
  const blank = { startedAt: undefined, healthy: false, replicas: undefined };
  return { ...blank, identity, how: 'freeze', was: 'running', group };
}

function tellFrozen(name: string, is: '0' | '1'): void {
  writeFileSync(join(folder, name, 'cgroup.events'), `populated 1\nfrozen ${is}\n`);
}

function modeOf(name: string): string {
  return readFileSync(join(folder, name, 'cgroup.freeze'), 'utf8').trim();
}

function freezing(steps: readonly AppStep[], options: JobOptions = {}): Freezing {
  const guardian = {
    lost: lost.now.promise,
    watch: async () => undefined,
    dismiss: () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
  return freezingWith(guardian, { levels: [steps], containers }, options);
}

test('without its guardian all are thawed, though one cannot be, and that is reported', async () => {
  const steps = ['one', 'two', 'three'].map(stepOf);
  const notes: string[] = [];
  const held = freezing(steps, { onNote: (note) => notes.push(note) });
  await held.watch();
  for (const step of steps) {
    tellFrozen(step.identity.name, '1');
    expect(await held.freeze(step)).toBe(true);
  }
  rmSync(join(folder, 'one/cgroup.freeze'));
  mkdirSync(join(folder, 'one/cgroup.freeze'));
  lost.now.resolve();
  await sleep(1);
  expect(['two', 'three'].map(modeOf)).toEqual(['0', '0']);
  expect(notes).toEqual([expect.stringContaining('cannot be thawed: EISDIR')]);
  await expect(held.freeze(steps[1]!)).rejects.toMatchObject({ code: 'failed' });
  expect(modeOf('two')).toBe('0');
});

test('a cancel ends the wait for other processes that have one frozen, which stays theirs', async () => {
  const step = stepOf('one');
  writeFileSync(join(folder, 'one/cgroup.freeze'), '1');
  const controller = new AbortController();
  const { signal } = controller;
  const waiting = freezing([step], { signal }).watch();
  expect(await Promise.race([waiting, sleep(50, 'waits')])).toBe('waits');
  controller.abort(new Error('Cancelled'));
  const ended = waiting.then(
    () => 'good',
    (error: unknown) => error,
  );
  expect(await Promise.race([ended, sleep(15_000, 'waits')])).toBeInstanceOf(Error);
  expect(modeOf('one')).toBe('1');
});

test('a cancel ends the wait for a container that does not come to rest', async () => {
  const step = stepOf('one');
  const controller = new AbortController();
  const { signal } = controller;
  const freezes = freezing([step], { signal }).freeze(step);
  expect(await Promise.race([freezes, sleep(50, 'waits')])).toBe('waits');
  const reason = new Error('Cancelled');
  controller.abort(reason);
  const ended = freezes.catch((error: unknown) => error);
  expect(await Promise.race([ended, sleep(15_000, 'waits')])).toBe(reason);
});

test('a container that one failed check makes unhealthy is frozen between two of its checks', async () => {
  const step = stepOf('one');
  const check = (sinceMs: number): void =>
    containers.change('one', {
      ...{ healthRetries: 1, healthFailures: 0, healthIntervalMs: 5000 },
      healthCheckedAt: new Date(Date.now() - sinceMs).toISOString(),
    });
  check(4000);
  const guardian = { lost: lost.now.promise, watch: async () => undefined, dismiss: () => undefined };
  const held = freezingWith(
    { ...guardian, [Symbol.asyncDispose]: async () => undefined },
    { levels: [[step]], containers, frozenMs: 2000 },
    {},
  );
  const free = held.untilFree();
  expect(await Promise.race([free, sleep(300, 'waits')])).toBe('waits');
  check(0);
  await free;
});
