import { hash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import {
  type KeyFile,
  newMasterKey,
  openMasterKey,
  sealMasterKey,
} from '../../src/repository/crypto/key-file.ts';
import { Sealer } from '../../src/repository/crypto/seal.ts';
import { newConfig, saveConfig } from '../../src/repository/format/config-file.ts';
import { openLocalStore } from '../../src/repository/stores/local.ts';

/** A thousandth of the usual cost. */
const cheapCost = { N: 64, r: 8, p: 1 };

/**
 * Makes a repository with a cheap key and its password in `keyFile`, which is to be the one that `init` would make: a
 * later `init` takes over both. An `init` that makes them itself derives four keys at the full cost, almost a second of
 * the processor; tests of `init` and of keys do that.
 */
export async function makeCheapRepository(
  repository: string,
  { stateDir, keyFile }: { readonly stateDir: string; readonly keyFile: string },
): Promise<void> {
  const password = randomBytes(32).toString('base64url');
  // The modes are those of Holdfast's own.
  for (const folder of [stateDir, dirname(keyFile)]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(keyFile, `${password}\n`, { mode: 0o600, flag: 'wx' });
  const store = openLocalStore(repository);
  await store.create();
  const masterKey = newMasterKey();
  const origin = {
    created: new Date().toISOString(),
    username: userInfo().username,
    hostname: hostname(),
  };
  const key = JSON.stringify(await sealMasterKey(masterKey, Buffer.from(password), origin, cheapCost));
  await store.save('keys', hash('sha256', key), Buffer.from(key));
  await saveConfig(store, new Sealer(masterKey), newConfig());
}

/**
 * Seals the only key of a new repository again, at a thousandth of its cost: each command that opens it then
 * needs neither 64 MiB nor a fifth of a second of the processor for the password. Tests of keys create their
 * own, at the full cost.
 */
export async function makeKeyCheap(
  repository: string,
  { password }: { readonly password: string },
): Promise<void> {
  const folder = join(repository, 'keys');
  const [name = '', ...others] = readdirSync(folder);
  if (others.length > 0) throw new Error(`${repository} has more than one key`);
  const path = join(folder, name);
  const bytes = await cheapKey(readFileSync(path, 'utf8'), password);
  writeFileSync(join(folder, hash('sha256', bytes)), bytes, { mode: statSync(path).mode });
  rmSync(path);
}

/** The text of a key file that opens with the same password as this one. */
export async function cheapKey(text: string, password: string): Promise<string> {
  const file = JSON.parse(text) as KeyFile;
  const master = await openMasterKey(file, Buffer.from(password));
  if (master === undefined) throw new Error('The password does not open the key');
  return JSON.stringify(await sealMasterKey(master, Buffer.from(password), file, cheapCost));
}

/** The password in a file, as Holdfast reads it. */
export function passwordIn(file: string): { readonly password: string } {
  return { password: readFileSync(file, 'utf8').trim() };
}
