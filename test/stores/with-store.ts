import { hash } from 'node:crypto';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from '../../src/repository/stores/open-store.ts';
import { parseLocation } from '../../src/repository/stores/parse-location.ts';
import { resolveAddress } from '../../src/repository/stores/resolve-address.ts';
import type { Store } from '../../src/repository/stores/store.ts';
import { cheapKey, passwordIn } from '../support/cheap-key.ts';

/** Where a repository lies, and the variables by which the command reaches it. */
export interface Place {
  readonly location: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Works on the store itself, for what no command does. */
export async function withStore<T>({ location, env }: Place, work: (store: Store) => Promise<T>): Promise<T> {
  const address = await resolveAddress(parseLocation(location), {
    env: { ...process.env, ...env },
    values: {},
    readSecret: (reference) => Promise.reject(new Error(`There is no secret "${reference}"`)),
  });
  const store = openStore(address);
  const before = process.env['PATH'];
  // The store's programs are searched in the test's own PATH.
  if (env?.['PATH'] !== undefined) process.env['PATH'] = env['PATH'];
  try {
    return await work(store);
  } finally {
    await store[Symbol.asyncDispose]?.();
    process.env['PATH'] = before;
  }
}

/** Seals the only key of a repository again, so that each further command opens it at a thousandth of the cost. */
export async function makeStoredKeyCheap(
  place: Place,
  { stateDir }: { readonly stateDir: string },
): Promise<void> {
  const [keyFile = '', ...otherFiles] = globSync(join(stateDir, 'keys/*.key'));
  await withStore(place, async (store) => {
    const [dear, ...others] = await store.list('keys');
    if (dear === undefined || others.length + otherFiles.length > 0)
      throw new Error(`${place.location} has not one key`);
    const text = (await store.load('keys', dear.name)).toString('utf8');
    const cheap = Buffer.from(await cheapKey(text, passwordIn(keyFile).password));
    await store.save('keys', hash('sha256', cheap), cheap);
    await store.remove('keys', dear.name);
  });
}
