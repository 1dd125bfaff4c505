import { hash, randomBytes } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newPaceState, openPace } from '../pace.ts';
import { describeStore } from '../../../../test/suites/store-suite.ts';
import { limitsOf, limitStore } from './limit-store.ts';
import { openTestStore, type TestStore } from '../../../../test/fixtures/test-stores.ts';

describeStore({
  name: 'limited',
  async open() {
    const plain = openTestStore();
    const pace = openPace(newPaceState(500_000_000));
    return {
      store: limitStore(plain.store, { connections: 2, upload: pace, download: pace }),
      [Symbol.asyncDispose]: async () => plain[Symbol.dispose](),
    };
  },
});

describe('limitStore()', () => {
  let plain: TestStore;
  beforeEach(async () => {
    plain = openTestStore();
    await plain.store.create();
  });
  afterEach(() => plain[Symbol.dispose]());

  test('never lets more requests run at once than it may, and all of them get their turn', async () => {
    let running = 0;
    let most = 0;
    plain.before = async () => {
      most = Math.max(most, ++running);
      await sleep(5);
      running--;
    };
    const store = limitStore(plain.store, { connections: 3, upload: undefined, download: undefined });
    await Promise.all(Array.from({ length: 20 }, () => store.list('keys')));
    expect(most).toBe(3);
    expect(plain.calls).toHaveLength(21);
  });

  test('a waiting call can be cancelled, and a failed one releases its slot', async () => {
    plain.before = async () => await sleep(50);
    const store = limitStore(plain.store, { connections: 1, upload: undefined, download: undefined });
    const first = store.list('keys');
    const signal = AbortSignal.timeout(10);
    await expect(store.list('keys', { signal })).rejects.toMatchObject({ code: 'cancelled' });
    await first;
    plain.before = () => {
      throw new Error('broken');
    };
    await expect(store.list('keys')).rejects.toThrow('broken');
    plain.before = () => undefined;
    expect(await store.list('keys')).toEqual([]);
  });

  test('bytes go no faster than they may, up and down', async () => {
    const store = limitStore(plain.store, {
      connections: undefined,
      upload: openPace(newPaceState(1_000_000)),
      download: openPace(newPaceState(2_000_000)),
    });
    const content = randomBytes(500_000);
    const name = hash('sha256', content);
    const started = performance.now();
    await store.save('data', name, content);
    const saved = performance.now();
    expect(saved - started).toBeGreaterThan(480);
    await store.load('data', name);
    expect(performance.now() - saved).toBeGreaterThan(240);
  });

  test('the rate is that of all threads together', async () => {
    const state = newPaceState(1_000_000);
    const code = `
      const { workerData, parentPort } = require('node:worker_threads');
      import(${JSON.stringify(new URL('../pace.ts', import.meta.url).href)}).then(async ({ openPace }) => {
        const pace = openPace(workerData);
        for (let i = 0; i < 10; i++) await pace.take(20_000);
        parentPort.postMessage('done');
      });`;
    const ends = Array.from({ length: 3 }, async () => {
      const worker = new Worker(code, { eval: true, workerData: state });
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      await worker.terminate();
    });
    const started = performance.now();
    await openPace(state).take(1);
    await Promise.all(ends);
    expect(performance.now() - started).toBeGreaterThan(580);
  });

  test('there are no limits where none are asked for, and each thread has at least one request', () => {
    expect(limitsOf({})).toBeUndefined();
    expect(limitsOf({ connections: 1 })?.connections).toBe(1);
  });
});
