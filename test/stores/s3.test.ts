import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { openStore } from '../../src/repository/stores/open-store.ts';
import { describeStore } from '../../src/repository/stores/store-suite.ts';
import { motoAddress, type MotoServer, startMoto } from './moto-server.ts';

let moto: MotoServer;

beforeAll(async () => {
  moto = await startMoto();
});
afterAll(() => moto[Symbol.asyncDispose]());

for (const prefix of ['', 'some/prefix', "odd name+(1)'*!ü"]) {
  describeStore({
    name: `s3, in ${prefix === '' ? 'a whole bucket' : prefix}`,
    async open() {
      const bucket = `bucket-${randomBytes(6).toString('hex')}`;
      const store = openStore(motoAddress(moto, bucket, { prefix }));
      return { store, [Symbol.asyncDispose]: async () => await store[Symbol.asyncDispose]?.() };
    },
  });
}
