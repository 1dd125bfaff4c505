import { execFileSync, spawn } from 'node:child_process';
import { utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { AppError } from '../model/errors.ts';
import { type FileCodec, loadJson, saveJson } from './format/repository-file.ts';
import { loadLock, lockForReading, lockRepository } from './lock.ts';
import { openTestCodec, type TestCodec } from '../../test/fixtures/open-codec.ts';
import { watched } from '../../test/fixtures/test-stores.ts';
import type { Store } from './stores/store.ts';
import { unlockRepository } from './unlock.ts';

let opened: TestCodec;
let codec: FileCodec;

beforeAll(async () => {
  opened = await openTestCodec();
  ({ codec } = opened);
});
afterAll(() => opened[Symbol.asyncDispose]());
beforeEach(async () => {
  for (const { name } of await codec.store.list('locks')) await codec.store.remove('locks', name);
});

afterEach(() => void vi.useRealTimers());

const minuteMs = 60_000;

/** The repository through a store whose calls can be spoiled. */
function through(store: Store): FileCodec {
  return { ...codec, store };
}

async function lockNames(): Promise<string[]> {
  return (await codec.store.list('locks')).map(({ name }) => name);
}

/** A lock file of another process. */
async function foreignLock(fields: {
  readonly exclusive?: boolean;
  readonly hostname?: string;
  readonly pid?: number;
  readonly ageMs?: number;
  readonly holdfast?: { readonly processSpace: string };
}): Promise<string> {
  return await saveJson(codec, 'locks', {
    time: new Date(Date.now() - (fields.ageMs ?? 0)).toISOString(),
    exclusive: fields.exclusive ?? false,
    hostname: fields.hostname ?? 'elsewhere',
    username: 'somebody',
    pid: fields.pid ?? 4711,
    ...(fields.holdfast && { holdfast: fields.holdfast }),
  });
}

/** The identity in a lock of this machine and this namespace. */
async function here(): Promise<{ readonly processSpace: string }> {
  await using lock = await lockRepository(codec, { exclusive: false });
  return (await loadLock(codec, lock.name ?? '')).holdfast ?? { processSpace: '' };
}

/** The number of a process that has just ended. */
function deadPid(): number {
  return Number(execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }));
}

test('a lock names its holder, and is removed afterwards', async () => {
  {
    await using lock = await lockRepository(codec, { exclusive: true });
    expect(await lockNames()).toEqual([lock.name]);
    expect(await loadJson(codec, 'locks', lock.name ?? '')).toMatchObject({
      exclusive: true,
      hostname: hostname(),
      pid: process.pid,
      uid: process.getuid?.(),
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
  }
  expect(await lockNames()).toEqual([]);
});

test('shared locks do not stop each other', async () => {
  await using _first = await lockRepository(codec, { exclusive: false });
  await foreignLock({});
  await using _second = await lockRepository(codec, { exclusive: false });
  expect(await lockNames()).toHaveLength(3);
});

test.each([
  ['a shared lock', false, true],
  ['an exclusive lock', true, false],
  ['an exclusive lock', true, true],
])('%s refuses one that conflicts, and nothing is left of the attempt', async (_what, held, wanted) => {
  await using lock = await lockRepository(codec, { exclusive: held });
  await expect(lockRepository(codec, { exclusive: wanted })).rejects.toMatchObject({
    code: 'locked',
    message: expect.stringContaining(`process ${process.pid} on "${hostname()}"`),
  });
  expect(await lockNames()).toEqual([lock.name]);
});

test('a fresh lock of another machine is respected', async () => {
  const name = await foreignLock({ exclusive: true, pid: deadPid(), ageMs: 29 * minuteMs });
  await expect(lockRepository(codec, { exclusive: false })).rejects.toMatchObject({ code: 'locked' });
  await expect(lockForReading(codec, {})).rejects.toMatchObject({ code: 'locked' });
  expect(await lockNames()).toEqual([name]);
});

/** Makes the store's clock say that it was written so long ago. */
function age(name: string, ageMs: number): void {
  const at = (Date.now() - ageMs) / 1000;
  utimesSync(join(opened.location, 'locks', name), at, at);
}

test('a lock that was not renewed for half an hour is removed', async () => {
  age(await foreignLock({ exclusive: true, ageMs: 31 * minuteMs }), 31 * minuteMs);
  await using lock = await lockRepository(codec, { exclusive: true });
  expect(await lockNames()).toEqual([lock.name]);
});

test.each([-31 * minuteMs, 31 * minuteMs, 25 * 60 * minuteMs])(
  'a lock that was just written by a machine whose clock is %i ms behind is respected',
  async (ageMs) => {
    const name = await foreignLock({ exclusive: true, ageMs });
    await expect(lockRepository(codec, { exclusive: true })).rejects.toMatchObject({ code: 'locked' });
    const { removed } = await unlockRepository(codec, { all: false });
    expect(removed).toEqual([]);
    expect(await lockNames()).toEqual([name]);
  },
);

test('a lock whose time lies ahead is removed when it was not renewed for half an hour', async () => {
  age(await foreignLock({ exclusive: true, ageMs: -60 * minuteMs }), 31 * minuteMs);
  await using lock = await lockRepository(codec, { exclusive: true });
  expect(await lockNames()).toEqual([lock.name]);
});

test.each([
  ['tells the time only, and the lock is of yesterday', 25 * 60, true],
  ['tells the time only, and the clocks may differ by hours', 12 * 60, false],
])('where the store %s', async (_what, ageMinutes, isRemoved) => {
  const name = await foreignLock({ exclusive: true, ageMs: ageMinutes * minuteMs });
  const store: Store = {
    ...watched(codec.store, () => undefined),
    times: async () => ({ nowMs: Date.now(), writtenMs: undefined }),
  };
  const { removed } = await unlockRepository(through(store), { all: false });
  expect(removed.map(({ id }) => id)).toEqual(isRemoved ? [name] : []);
});

test.each([
  ['of this machine from before it was started anew is removed', hostname(), 'other 4026531836', true],
  ['of another container of this machine is respected', hostname(), undefined, false],
  ['of another machine is respected', 'elsewhere', 'other 4026531836', false],
])(
  'where the store tells the time only, a lock that is 31 minutes old and %s',
  async (_what, host, space, isRemoved) => {
    const processSpace = space ?? (await here()).processSpace.replace(/\d+$/, '4026531999');
    const fields = { exclusive: true, hostname: host, pid: deadPid(), holdfast: { processSpace } };
    const name = await foreignLock({ ...fields, ageMs: 31 * minuteMs });
    const store: Store = {
      ...watched(codec.store, () => undefined),
      times: async () => ({ nowMs: Date.now(), writtenMs: undefined }),
    };
    const { removed } = await unlockRepository(through(store), { all: false });
    expect(removed.map(({ id }) => id)).toEqual(isRemoved ? [name] : []);
  },
);

test.each(['read-only', 'full', 'denied'] as const)(
  'a lock of the day before yesterday does not block reading a store that is %s',
  async (code) => {
    await foreignLock({ exclusive: true, ageMs: 48 * 60 * minuteMs });
    const store = watched(codec.store, (call) => {
      if (['save locks', 'remove locks', 'times locks'].includes(call)) throw new AppError(code, 'No writes');
    });
    expect(await lockForReading(through(store), {})).toBeUndefined();
  },
);

test('the lock of a process of this machine that has died is removed, that of a living one is respected', async () => {
  await foreignLock({ exclusive: true, hostname: hostname(), pid: deadPid(), holdfast: await here() });
  {
    await using lock = await lockRepository(codec, { exclusive: true });
    expect(await lockNames()).toEqual([lock.name]);
  }
  const living = spawn('sleep', ['60']);
  try {
    await foreignLock({ exclusive: true, hostname: hostname(), pid: living.pid ?? 0 });
    await expect(lockRepository(codec, { exclusive: false })).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining(`process ${living.pid}`),
    });
  } finally {
    living.kill();
    await new Promise((resolve) => living.once('exit', resolve));
  }
});

test.each([
  ['another container with the name of this machine', 'boot 4026531999'],
  ['another machine of the same name', 'other 4026531836'],
])('a fresh lock of %s is respected, whatever its number is here', async (_what, processSpace) => {
  const name = await foreignLock({
    exclusive: true,
    hostname: hostname(),
    pid: deadPid(),
    holdfast: { processSpace },
  });
  const own = await foreignLock({
    exclusive: true,
    hostname: hostname(),
    pid: process.pid,
    ageMs: Date.now() - performance.timeOrigin + 5000,
    holdfast: { processSpace },
  });
  await expect(lockRepository(codec, { exclusive: true })).rejects.toMatchObject({ code: 'locked' });
  const { removed } = await unlockRepository(codec, { all: false, dryRun: false });
  expect(removed).toEqual([]);
  expect((await lockNames()).toSorted()).toEqual([name, own].toSorted());
});

test('a lock of another program is taken for dead only when no process anywhere on the machine has its number', async () => {
  const ageMs = Date.now() - performance.timeOrigin + 5000;
  const name = await foreignLock({ exclusive: true, hostname: hostname(), pid: process.pid, ageMs });
  await expect(lockRepository(codec, { exclusive: true })).rejects.toMatchObject({ code: 'locked' });
  expect(await lockNames()).toEqual([name]);
  // The user who asks for it knows that no one else is working.
  const { removed } = await unlockRepository(codec, { all: false, dryRun: false });
  expect(removed).toMatchObject([{ id: name, stale: 'its process has ended' }]);
});

test('a lock of the same process number from before this process began is dead', async () => {
  const sinceStartMs = Date.now() - performance.timeOrigin;
  await foreignLock({
    exclusive: true,
    hostname: hostname(),
    pid: process.pid,
    ageMs: sinceStartMs + 5000,
    holdfast: await here(),
  });
  await using lock = await lockRepository(codec, { exclusive: true });
  expect(await lockNames()).toEqual([lock.name]);
});

test('a renewed lock has a new time and takes the place of the one before', async () => {
  await using lock = await lockRepository(codec, { exclusive: true });
  const before = lock.name ?? '';
  const { time } = await loadJson<{ time: string }>(codec, 'locks', before);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await lock.renew();
  expect(lock.name).not.toBe(before);
  expect(await lockNames()).toEqual([lock.name]);
  const renewed = await loadJson<{ time: string; exclusive: boolean }>(codec, 'locks', lock.name ?? '');
  expect(Date.parse(renewed.time)).toBeGreaterThan(Date.parse(time));
  expect(renewed.exclusive).toBe(true);
  await expect(lock.assertHeld()).resolves.toBeUndefined();
});

test('a removed lock is noticed, and not silently taken again', async () => {
  await using lock = await lockRepository(codec, { exclusive: false });
  await codec.store.remove('locks', lock.name ?? '');
  await expect(lock.assertHeld()).rejects.toMatchObject({ code: 'locked' });
  await lock.renew();
  expect(await lockNames()).toEqual([]);
  await expect(lock.assertHeld()).rejects.toMatchObject({ code: 'locked' });
});

test('a lock whose first write fails is not taken later on', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  let isDown = true;
  const store = watched(codec.store, (call) => {
    if (isDown && call === 'save locks') throw new AppError('unavailable', 'The server is away');
  });
  await expect(lockRepository(through(store), { exclusive: true })).rejects.toMatchObject({
    code: 'unavailable',
  });
  isDown = false;
  await vi.advanceTimersByTimeAsync(20 * minuteMs);
  expect(vi.getTimerCount()).toBe(0);
  expect(await lockNames()).toEqual([]);
});

test('a lock whose first write arrives although it fails is removed', async () => {
  const store: Store = {
    ...watched(codec.store, () => undefined),
    async save(type, name, content) {
      await codec.store.save(type, name, content);
      throw new AppError('unavailable', 'The answer was lost');
    },
  };
  await expect(lockRepository(through(store), { exclusive: true })).rejects.toMatchObject({
    code: 'unavailable',
  });
  expect(await lockNames()).toEqual([]);
});

test.each([['exists locks'], ['save locks'], ['remove locks']])(
  'a renewal that waits at "%s" for three ticks leaves the lock held, with one file',
  async (waitingAt) => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const outage = Promise.withResolvers<void>();
    let isDown = false;
    const store = watched(codec.store, async (call) => {
      if (isDown && call === waitingAt) await outage.promise;
    });
    await using lock = await lockRepository(through(store), { exclusive: true });
    const first = lock.name;
    isDown = true;
    await vi.advanceTimersByTimeAsync(16 * minuteMs);
    isDown = false;
    outage.resolve();
    await lock.assertHeld();
    expect(lock.name).not.toBe(first);
    expect(await lockNames()).toEqual([lock.name]);
  },
);

test('a lock that another program removes while it is renewed is lost, and nothing of it stays', async () => {
  const store = watched(codec.store, async (call) => {
    if (call !== 'save locks') return;
    for (const name of await lockNames()) await codec.store.remove('locks', name);
  });
  await using lock = await lockRepository(through(store), { exclusive: true });
  await lock.renew();
  await expect(lock.assertHeld()).rejects.toMatchObject({ code: 'locked' });
  expect(await lockNames()).toEqual([]);
});

test('a lock that is renewed while it is looked for is held', async () => {
  let onExists: (() => Promise<void>) | undefined;
  const store = watched(codec.store, async (call) => {
    const renew = onExists;
    onExists = undefined;
    if (call === 'exists locks') await renew?.();
  });
  await using lock = await lockRepository(through(store), { exclusive: true });
  onExists = () => lock.renew();
  await expect(lock.assertHeld()).resolves.toBeUndefined();
});

test('a lock is let go while its renewal waits for the store', async () => {
  const started = Promise.withResolvers<void>();
  let isDown = false;
  const store: Store = {
    ...watched(codec.store, () => undefined),
    async save(type, name, content, options) {
      await codec.store.save(type, name, content);
      if (!isDown) return;
      started.resolve();
      const { promise, reject } = Promise.withResolvers<void>();
      options?.signal?.addEventListener('abort', () => reject(new Error('cancelled')));
      await promise;
    },
  };
  const lock = await lockRepository(through(store), { exclusive: true });
  isDown = true;
  const renewing = lock.renew();
  await started.promise;
  await Promise.all([lock[Symbol.asyncDispose](), expect(renewing).rejects.toThrow('cancelled')]);
  expect(await lockNames()).toEqual([]);
});

test('of two at the same instant never both have the repository for themselves', async () => {
  let winners = 0;
  for (let round = 0; round < 15; round++) {
    const attempts = await Promise.allSettled(
      [true, true, false].map((exclusive) => lockRepository(codec, { exclusive })),
    );
    const held = attempts.filter((attempt) => attempt.status === 'fulfilled').map(({ value }) => value);
    const exclusive = attempts.slice(0, 2).filter(({ status }) => status === 'fulfilled').length;
    expect(exclusive).toBeLessThanOrEqual(1);
    if (exclusive === 1) expect(held).toHaveLength(1);
    winners += held.length;
    for (const attempt of attempts)
      if (attempt.status === 'rejected') expect(attempt.reason).toMatchObject({ code: 'locked' });
    for (const lock of held) await lock[Symbol.asyncDispose]();
    expect(await lockNames()).toEqual([]);
  }
  expect(winners).toBeLessThanOrEqual(15);
});

test('an unreadable lock is respected, and the message says what to remove', async () => {
  const name = 'ab'.repeat(32);
  writeFileSync(join(opened.location, 'locks', name), '');
  await expect(lockRepository(codec, { exclusive: false })).rejects.toMatchObject({
    code: 'locked',
    hint: expect.stringContaining(`locks/${name}`),
  });
  expect(await lockNames()).toEqual([name]);
});

test.each([['null'], ['5'], ['{}'], ['{"exclusive":"no"}'], ['{"exclusive":false,"time":7}']])(
  'a lock that says %s is respected',
  async (json) => {
    await saveJson(codec, 'locks', JSON.parse(json));
    await expect(lockRepository(codec, { exclusive: false })).rejects.toMatchObject({ code: 'locked' });
  },
);
