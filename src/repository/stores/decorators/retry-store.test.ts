import { hash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AppError, type ErrorCode } from '../../../model/errors.ts';
import { ServerFault } from '../store-errors.ts';
import { describeStore } from '../../../../test/suites/store-suite.ts';
import { retryStore } from './retry-store.ts';
import { openTestStore, type TestStore } from '../../../../test/fixtures/test-stores.ts';

describeStore({
  name: 'retried, where every third call fails first',
  async open() {
    const plain = openTestStore();
    let count = 0;
    plain.before = () => {
      if (++count % 3 === 0) throw new AppError('unavailable', 'Not now');
    };
    return {
      store: retryStore(plain.store, { deadlineMs: 10_000, firstDeadlineMs: 10_000, firstDelayMs: 1 }),
      [Symbol.asyncDispose]: async () => plain[Symbol.dispose](),
    };
  },
});

describe('retryStore()', () => {
  let plain: TestStore;
  beforeEach(() => {
    plain = openTestStore();
  });
  afterEach(() => plain[Symbol.dispose]());

  const options = { deadlineMs: 2000, firstDeadlineMs: 2000, firstDelayMs: 1, random: () => 0.5 };
  const content = Buffer.from('content');
  const name = hash('sha256', content);

  test('tries again with growing pauses until it works', async () => {
    let failures = 4;
    plain.before = (call) => {
      if (call.startsWith('exists') && failures-- > 0) throw new AppError('unavailable', 'Not now');
    };
    const delays: number[] = [];
    const store = retryStore(plain.store, { ...options, onRetry: (_, delayMs) => delays.push(delayMs) });
    expect(await store.exists('config', '')).toBe(false);
    expect(delays).toEqual([1, 2, 4, 8]);
  });

  test.each<ErrorCode>(['not-found', 'denied', 'integrity', 'full', 'read-only', 'exists', 'failed'])(
    'never tries "%s" again',
    async (code) => {
      plain.before = () => {
        throw new AppError(code, 'No');
      };
      const store = retryStore(plain.store, options);
      await expect(store.load('data', name)).rejects.toMatchObject({ code });
      await expect(store.save('data', name, content)).rejects.toMatchObject({ code });
      await expect(store.remove('data', name)).rejects.toMatchObject({ code });
      expect(plain.calls).toHaveLength(3);
    },
  );

  test('ends at the deadline, and throws the last failure unchanged', async () => {
    plain.before = () => {
      throw new AppError('unavailable', `Failure ${plain.calls.length}`);
    };
    const started = performance.now();
    const store = retryStore(plain.store, { ...options, deadlineMs: 300, firstDeadlineMs: 300 });
    await expect(store.list('data')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^Failure [2-9]$/),
    });
    expect(performance.now() - started).toBeLessThan(15_000);
  });

  test('gives up sooner on a store that has never answered', async () => {
    const never = retryStore(plain.store, { ...options, deadlineMs: 60_000, firstDeadlineMs: 0 });
    plain.before = () => {
      throw new AppError('unavailable', 'Not now');
    };
    await expect(never.exists('config', '')).rejects.toMatchObject({ code: 'unavailable' });
    expect(plain.calls).toHaveLength(1);
    plain.before = () => undefined;
    await never.exists('config', '');
    let failures = 3;
    plain.before = () => {
      if (failures-- > 0) throw new AppError('unavailable', 'Not now');
    };
    await never.exists('config', '');
    expect(plain.calls).toHaveLength(6);
  });

  test('a server that says that it failed is asked four times in all', async () => {
    plain.before = () => {
      throw new AppError('unavailable', 'It failed', { cause: new ServerFault('status 500') });
    };
    const store = retryStore(plain.store, options);
    await expect(store.exists('config', '')).rejects.toMatchObject({ code: 'unavailable' });
    expect(plain.calls).toHaveLength(4);
  });

  test('a signal ends the pause', async () => {
    plain.before = () => {
      throw new AppError('unavailable', 'Not now');
    };
    const store = retryStore(plain.store, {
      ...options,
      firstDelayMs: 60_000,
      deadlineMs: 1e9,
      firstDeadlineMs: 1e9,
    });
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    await expect(store.list('data', { signal: controller.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
  });
});
