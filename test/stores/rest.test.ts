import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { openStore } from '../../src/repository/stores/open-store.ts';
import { describeStore } from '../../src/repository/stores/store-suite.ts';
import { restAddress, type RestServer, startRestServer } from './rest-server.ts';

let server: RestServer;

beforeAll(async () => {
  server = await startRestServer();
});
afterAll(() => server[Symbol.asyncDispose]());

describeStore({
  name: 'rest',
  async open() {
    const store = openStore(restAddress(`${server.url}${randomBytes(6).toString('hex')}/`));
    return { store, [Symbol.asyncDispose]: async () => await store[Symbol.asyncDispose]?.() };
  },
});
