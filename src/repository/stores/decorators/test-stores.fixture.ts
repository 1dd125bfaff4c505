import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLocalStore } from '../local.ts';
import type { Store } from '../store.ts';

/** A local store in a folder of its own, and a way to count and to spoil its calls. */
export interface TestStore extends Disposable {
  readonly store: Store;
  readonly folder: string;
  /** The calls so far, such as `load data`. */
  readonly calls: string[];
  /** Called before each call; what it throws, the call throws. */
  before: (call: string) => void | Promise<void>;
}

export function openTestStore(): TestStore {
  const folder = mkdtempSync(join(tmpdir(), 'decorated-'));
  const local = openLocalStore(join(folder, 'repository'));
  const test: TestStore = {
    store: watched(local, (call) => {
      test.calls.push(call);
      return test.before(call);
    }),
    folder,
    calls: [],
    before: () => undefined,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
  return test;
}

/** The same store, with a function that is called before each call. */
export function watched(store: Store, onCall: (call: string) => void | Promise<void>): Store {
  return {
    location: store.location,
    async create(options) {
      await onCall('create');
      await store.create(options);
    },
    async save(type, name, content, options) {
      await onCall(`save ${type}`);
      await store.save(type, name, content, options);
    },
    async load(type, name, range, options) {
      await onCall(`load ${type}`);
      return await store.load(type, name, range, options);
    },
    async list(type, options) {
      await onCall(`list ${type}`);
      return await store.list(type, options);
    },
    async exists(type, name, options) {
      await onCall(`exists ${type}`);
      return await store.exists(type, name, options);
    },
    async times(type, name, options) {
      await onCall(`times ${type}`);
      return (await store.times?.(type, name, options)) ?? { nowMs: Date.now(), writtenMs: undefined };
    },
    async remove(type, name, options) {
      await onCall(`remove ${type}`);
      await store.remove(type, name, options);
    },
  };
}
