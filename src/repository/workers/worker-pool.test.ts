import { afterEach, describe, expect, test } from 'vitest';
import { AppError } from '../../model/errors.ts';
import type { TestResult, TestTask } from '../../../test/fixtures/worker-pool.ts';
import { fromPlainError, toPlainError, WorkerPool } from './worker-pool.ts';

type TestPool = WorkerPool<TestTask, TestResult, number, string, string>;

const pools: TestPool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool[Symbol.asyncDispose]();
});

function openPool(workers: number, onEvent?: (event: string) => void): TestPool {
  const pool: TestPool = new WorkerPool({
    module: new URL('../../../test/fixtures/worker-pool.ts', import.meta.url),
    workers,
    workerData: undefined,
    endWithinMs: 500,
    ...(onEvent && { onEvent }),
  });
  pools.push(pool);
  return pool;
}

test('tasks are done by several workers, and each gets its own answer', async () => {
  const pool = openPool(3);
  const texts = Array.from({ length: 200 }, (_, i) => `task ${i}`);
  const results = await Promise.all(texts.map((text) => pool.run({ kind: 'echo', text })));
  expect(results.map(({ text }) => text)).toEqual(texts);
  expect(new Set(results.map(({ threadId }) => threadId)).size).toBe(3);
  expect(pool.load).toBe(0);
});

test('only as many workers are started as there is work for', async () => {
  const pool = openPool(4);
  expect(pool.started).toEqual([]);
  await pool.run({ kind: 'echo', text: 'one' });
  await pool.run({ kind: 'echo', text: 'two' });
  expect(pool.started).toEqual([0]);
});

test('pinned tasks are always done by the same worker, in order, beside other work', async () => {
  const pool = openPool(3);
  const events: string[] = [];
  const pinned = Array.from({ length: 20 }, (_, i) =>
    pool.run({ kind: 'echo', text: `${i}` }, { pinTo: 1 }).then((result) => {
      events.push(result.text);
      return result;
    }),
  );
  const others = Array.from({ length: 20 }, () => pool.run({ kind: 'echo', text: 'other' }));
  const results = await Promise.all(pinned);
  await Promise.all(others);
  expect(new Set(results.map(({ threadId }) => threadId)).size).toBe(1);
  expect(events).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`));
});

test('load counts waiting and running tasks', async () => {
  const pool = openPool(2);
  const work = Array.from({ length: 10 }, () => pool.run({ kind: 'sleep', ms: 5 }));
  work.push(pool.run({ kind: 'sleep', ms: 5 }, { pinTo: 0 }));
  expect(pool.load).toBe(11);
  await Promise.all(work);
  expect(pool.load).toBe(0);
});

test('a notice reaches every worker before tasks that are given after it, also workers that start later', async () => {
  const pool = openPool(3);
  await pool.run({ kind: 'echo', text: 'start one' });
  pool.notify('first');
  const early = await Promise.all([0, 1, 2].map((pinTo) => pool.run({ kind: 'notices' }, { pinTo })));
  expect(early.map(({ text }) => text)).toEqual(['first', 'first', 'first']);
  pool.notify('second');
  const late = await Promise.all([0, 1, 2].map((pinTo) => pool.run({ kind: 'notices' }, { pinTo })));
  expect(late.map(({ text }) => text)).toEqual(Array(3).fill('first,second'));
});

test('events and interim news arrive before the answer that follows them', async () => {
  const events: string[] = [];
  const pool = openPool(1, (event) => events.push(event));
  await pool.run({ kind: 'echo', text: 'a' });
  expect(events).toEqual(['before a']);
  const steps: number[] = [];
  await pool.run({ kind: 'steps', count: 5 }, { onInterim: (step) => steps.push(step) });
  expect(steps).toEqual([0, 1, 2, 3, 4]);
});

test('transferred bytes arrive, and are detached here', async () => {
  const pool = openPool(1);
  const bytes = new Uint8Array(Buffer.from('transferred'));
  const result = await pool.run({ kind: 'bytes', bytes }, { transfer: [bytes.buffer] });
  expect(result.text).toBe('transferred');
  expect(bytes.length).toBe(0);
});

describe('a task that fails', () => {
  test('a task fails with the AppError that it threw, and the worker continues', async () => {
    const pool = openPool(1);
    const error: unknown = await pool.run({ kind: 'fail', how: 'app' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({
      code: 'full',
      message: 'Cannot write "x": the disk is full',
      detail: 'All of it.',
      hint: 'Make room.',
    });
    expect((await pool.run({ kind: 'echo', text: 'still here' })).text).toBe('still here');
  });

  test.each([
    ['a system error', 'errno', { code: 'ENOENT', message: 'ENOENT: no such file' }],
    ['what is no error', 'text', { code: 'failed', message: 'only text' }],
    ['an answer that cannot be sent', 'result', { code: 'failed' }],
  ] as const)('fails with %s', async (_what, how, expected) => {
    const pool = openPool(1);
    await expect(pool.run({ kind: 'fail', how })).rejects.toMatchObject(expected);
    expect((await pool.run({ kind: 'echo', text: 'still here' })).text).toBe('still here');
  });

  test('because it cannot be sent harms no other', async () => {
    const pool = openPool(1);
    const bad = { kind: 'echo', text: () => 'no' } as unknown as TestTask;
    const [first, second, third] = await Promise.allSettled([
      pool.run({ kind: 'sleep', ms: 20 }),
      pool.run(bad),
      pool.run({ kind: 'echo', text: 'fine' }),
    ]);
    expect(first.status).toBe('fulfilled');
    expect(second).toMatchObject({ status: 'rejected', reason: { name: 'AppError', code: 'failed' } });
    expect(third).toMatchObject({ status: 'fulfilled', value: { text: 'fine' } });
    expect(pool.load).toBe(0);
  });
});

test.each(['exit', 'throw'] as const)(
  'a worker that dies (%s) fails everything that runs and waits, and all that comes later',
  async (how) => {
    const pool = openPool(2);
    const work = [
      pool.run({ kind: 'die', how }),
      ...Array.from({ length: 10 }, () => pool.run({ kind: 'sleep', ms: 60_000 })),
      pool.run({ kind: 'sleep', ms: 60_000 }, { pinTo: 1 }),
    ];
    const outcomes = await Promise.allSettled(work);
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'AppError', code: 'failed' } });
    await expect(pool.run({ kind: 'echo', text: 'too late' })).rejects.toMatchObject({ code: 'failed' });
    expect(pool.load).toBe(0);
  },
);

test('a module that cannot be loaded fails the tasks', async () => {
  const pool: TestPool = new WorkerPool({
    module: new URL('./there-is-no-such-module.ts', import.meta.url),
    workers: 1,
    workerData: undefined,
    endWithinMs: 500,
  });
  pools.push(pool);
  await expect(pool.run({ kind: 'echo', text: 'x' })).rejects.toMatchObject({
    name: 'AppError',
    message: expect.stringContaining('there-is-no-such-module'),
  });
});

test('disposing a pool ends its workers, even hanging ones, and cancels their tasks', async () => {
  const pool = openPool(2);
  const work = [0, 1, 2, 3].map(() => pool.run({ kind: 'sleep', ms: 60_000 }));
  const outcomes = Promise.allSettled(work);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await pool[Symbol.asyncDispose]();
  for (const outcome of await outcomes)
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'cancelled' } });
  await expect(pool.run({ kind: 'echo', text: 'x' })).rejects.toMatchObject({ code: 'cancelled' });
});

test('an error keeps its kind on the way between threads', () => {
  for (const error of [
    new AppError('in-use', 'm', { hint: 'h' }),
    Object.assign(new Error('m'), { code: 'EIO' }),
  ]) {
    const copy = fromPlainError(structuredClone(toPlainError(error)));
    expect(toPlainError(copy)).toEqual(toPlainError(error));
    expect(copy instanceof AppError).toBe(error instanceof AppError);
  }
});
