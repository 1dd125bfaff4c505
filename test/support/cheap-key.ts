import { hash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KeyFile, openMasterKey, sealMasterKey } from '../../src/repository/crypto/key-file.ts';

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
  return JSON.stringify(await sealMasterKey(master, Buffer.from(password), file, { N: 64, r: 8, p: 1 }));
}

/** The password in a file, as Holdfast reads it. */
export function passwordIn(file: string): { readonly password: string } {
  return { password: readFileSync(file, 'utf8').trim() };
}
