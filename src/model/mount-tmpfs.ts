import { AppError } from './errors.ts';
import { checkMount, type TmpfsMount } from './mount.ts';
import { quote } from './quote.ts';

/** A mount in the syntax of `docker run --tmpfs`: `/tmp`, `/tmp:size=100m,noexec`. */
export function parseTmpfsMount(text: string): TmpfsMount {
  const colon = text.indexOf(':');
  const target = colon === -1 ? text : text.slice(0, colon);
  const words = colon === -1 ? '' : text.slice(colon + 1);
  let mount: TmpfsMount = { type: 'tmpfs', target, readOnly: false, options: [] };
  for (const word of words === '' ? [] : words.split(',')) mount = withOption(mount, word);
  checkMount(mount);
  return mount;
}

/** The mount options that the engine accepts for a tmpfs. */
const flags: ReadonlySet<string> = new Set(
  [
    [
      'defaults',
      'sync',
      'async',
      'dirsync',
      'remount',
      'bind',
      'rbind',
      'mand',
      'nomand',
      'strictatime',
      'nostrictatime',
    ],
    ['suid', 'nosuid', 'dev', 'nodev', 'exec', 'noexec', 'atime', 'noatime', 'diratime', 'nodiratime'],
    [
      'relatime',
      'norelatime',
      'private',
      'rprivate',
      'shared',
      'rshared',
      'slave',
      'rslave',
      'unbindable',
      'runbindable',
    ],
  ].flat(),
);

const valued: ReadonlySet<string> = new Set(['size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks', 'mpol']);

function withOption(mount: TmpfsMount, word: string): TmpfsMount {
  if (word === 'ro' || word === 'rw') return { ...mount, readOnly: word === 'ro' };
  const equals = word.indexOf('=');
  const key = equals === -1 ? word : word.slice(0, equals);
  if (equals === -1 ? !flags.has(key) : !valued.has(key)) {
    throw new AppError('usage', `invalid tmpfs option ${quote(key)}`);
  }
  const value = word.slice(equals + 1);
  if (key === 'mode') return { ...mount, mode: readMode(value) };
  if (key === 'size') return withSize(mount, word, value);
  return { ...mount, options: [...mount.options, word] };
}

/** The last size wins. Parsed like the kernel: whole numbers only, unlike Docker's sizes. */
function withSize(mount: TmpfsMount, word: string, value: string): TmpfsMount {
  const { type, target, readOnly, mode } = mount;
  const rest = { type, target, readOnly, ...(mode !== undefined && { mode }) };
  const options = mount.options.filter((option) => !option.startsWith('size='));
  // Only the kernel knows the size of the memory, and parses octal and hexadecimal numbers.
  if (/^(?:\d+%|0x[\da-f]+[kmgtpe]?|0[0-7]+[kmgtpe]?)$/i.test(value)) {
    return { ...rest, options: [...options, word] };
  }
  const [, digits, unit = ''] = /^(\d+)([kmgtpe]?)$/i.exec(value) ?? [];
  const sizeBytes = Number(digits) * 1024 ** ['', 'k', 'm', 'g', 't', 'p', 'e'].indexOf(unit.toLowerCase());
  if (!Number.isSafeInteger(sizeBytes)) throw new AppError('usage', `invalid value for size: ${value}`);
  return { ...rest, options, sizeBytes };
}

function readMode(value: string): number {
  if (!/^[0-7]{1,5}$/.test(value)) throw new AppError('usage', `invalid value for mode: ${value}`);
  return Number.parseInt(value, 8);
}
