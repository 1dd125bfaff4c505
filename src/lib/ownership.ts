import { chmod, chown, readFile, stat } from 'node:fs/promises';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

type OwnershipOptions = Readonly<Record<string, string | undefined>>;

export const ownershipOptions = ['owner', 'group', 'uid', 'gid', 'mode'] as const;

/** Throws `usage` for an invalid owner, group or mode. Whether a name exists is checked on use. */
export function checkOwnership(options: OwnershipOptions): void {
  for (const key of ['uid', 'gid'] as const) {
    const value = options[key];
    if (value !== undefined && !isId(value))
      throw new AppError('usage', `invalid value for option ${quote(key)}: ${quote(value)} is not a number`);
  }
  const mode = options['mode'];
  if (mode !== undefined) parseMode(mode);
}

/** A mode in octal, as chmod(1) takes it. */
export function parseMode(text: string): number {
  if (/^[0-7]{3,5}$/.test(text) && Number.parseInt(text, 8) <= 0o7777) return Number.parseInt(text, 8);
  throw new AppError('usage', `invalid mode: ${quote(text)}`, { hint: 'Write it in octal, like 0750.' });
}

/** Applies the options to the root of the data, and leaves the rest as it is. */
export async function applyOwnership(path: string, options: OwnershipOptions, name: string): Promise<void> {
  const user = options['owner'] ?? options['uid'];
  const group = options['group'] ?? options['gid'];
  try {
    if (user !== undefined || group !== undefined) {
      const now = await stat(path);
      const uid = user === undefined ? now.uid : await lookUp('/etc/passwd', user);
      const gid = group === undefined ? now.gid : await lookUp('/etc/group', group);
      // Changing the owner clears set-id bits, so it comes first.
      await chown(path, uid, gid);
    }
    if (options['mode'] !== undefined) await chmod(path, parseMode(options['mode']));
  } catch (error) {
    if (errnoOf(error) !== 'EPERM') throw error;
    throw new AppError('denied', `Cannot set the owner of volume ${quote(name)}: not permitted`, {
      hint: 'Only root may give a directory to another user. Run as root, or leave owner and group out.',
      cause: error,
    });
  }
}

function isId(text: string): boolean {
  return /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1;
}

async function lookUp(table: string, name: string): Promise<number> {
  if (isId(name)) return Number(name);
  const text = await readFile(table, 'latin1').catch(() => '');
  for (const line of text.split('\n')) {
    const [found, , number = ''] = line.split(':');
    if (found === name && isId(number)) return Number(number);
  }
  const what = table === '/etc/group' ? 'group' : 'user';
  throw new AppError('usage', `There is no ${what} ${quote(name)} on this machine`, {
    hint: `Give its number, as it is in the container's image, or a name of ${quote(table)}.`,
  });
}
