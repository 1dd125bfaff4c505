import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory, writeDurably } from '../../lib/durable-file.ts';
import { AppError, errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';

/** The secrets that wrap the keys of volumes. */
export interface KeyWraps {
  /**
   * For `master`, the key of this state folder, created if missing and allowed; otherwise the secret at the
   * reference.
   */
  secret(wrappedBy: string, options: { readonly mayMake: boolean }): Promise<Uint8Array>;
}

export function openKeyWraps(parts: {
  readonly stateDir: string;
  readonly secret: (reference: string) => Promise<Uint8Array>;
}): KeyWraps {
  const folder = join(parts.stateDir, 'keys');
  const path = join(folder, 'volumes.key');
  return {
    async secret(wrappedBy, { mayMake }) {
      if (wrappedBy !== 'master') return await parts.secret(wrappedBy);
      const found = await readMaster(path);
      if (found !== undefined) return found;
      if (!mayMake) {
        throw new AppError('not-found', `The key of the volumes is missing: ${quote(path)}`, {
          hint: 'Put back your copy of it. Without it, the encrypted volumes that it wraps cannot be opened.',
        });
      }
      await makeMaster(folder, path);
      return (await readMaster(path)) ?? new Uint8Array();
    },
  };
}

/**
 * Throws `usage` for anything but `master` or a reference: a secret itself must not end up in the catalog.
 */
export function checkKeyReference(text: string): void {
  if (text === 'master' || /^(?:file:\/|env:[A-Za-z_]|exec:\S)/.test(text)) return;
  throw new AppError('usage', 'option "key" is neither "master" nor a reference', {
    hint: 'Say where the secret is: key=file:/path, key=env:NAME or key=exec:COMMAND. The secret itself does not belong here.',
  });
}

async function readMaster(path: string): Promise<Uint8Array | undefined> {
  let text: string;
  try {
    text = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new AppError('denied', `Cannot read the key of the volumes ${quote(path)}`, { cause: error });
  }
  if (/^[0-9a-f]{64}$/.test(text)) return Buffer.from(text, 'hex');
  throw new AppError('integrity', `The key of the volumes ${quote(path)} is damaged`, {
    hint: 'Put back your copy of it.',
  });
}

/** Complete under its name or absent; a second process uses the existing one. */
async function makeMaster(folder: string, path: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  await writeDurably(temporary, `${randomBytes(32).toString('hex')}\n`);
  try {
    await link(temporary, path);
    await syncDirectory(folder);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}
