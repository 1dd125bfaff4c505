import { hash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type KeyFile, openMasterKey, sealMasterKey } from '../../src/repository/crypto/key-file.ts';

/**
 * Seals the only key of a new repository anew, at a thousandth of its cost: each command that opens it then needs neither
 * 64 MiB nor a fifth of a second of the processor for the password. Tests of keys make keys of their own, at the full cost.
 */
export async function makeKeyCheap(repository: string, passwordFile: string): Promise<void> {
  const folder = join(repository, 'keys');
  const [name = '', ...others] = readdirSync(folder);
  if (others.length > 0) throw new Error(`${repository} has more than one key`);
  const path = join(folder, name);
  const file = JSON.parse(readFileSync(path, 'utf8')) as KeyFile;
  const password = Buffer.from(readFileSync(passwordFile, 'utf8').trim());
  const master = await openMasterKey(file, password);
  if (master === undefined) throw new Error(`${passwordFile} does not open ${repository}`);
  const bytes = JSON.stringify(await sealMasterKey(master, password, file, { N: 64, r: 8, p: 1 }));
  writeFileSync(join(folder, hash('sha256', bytes)), bytes, { mode: statSync(path).mode });
  rmSync(path);
}
