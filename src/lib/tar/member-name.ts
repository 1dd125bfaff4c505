import { toPrintable, type ByteString } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { damaged } from './tar-member.ts';

const needsCare = /^\/|^\.?$|(^|\/)\.{0,2}(\/|$)|\0/;

/**
 * A member's name as an entry's path: relative, without `.` parts, double or trailing slashes; the root is ''.
 * A name that climbs with `..` or holds a NUL is refused: it is an attack or damage, and guessing helps nobody.
 */
export function memberPath(name: ByteString): ByteString {
  if (!needsCare.test(name)) return name;
  if (name.includes('\0')) throw damaged('A name holds a NUL byte.');
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) {
    throw new AppError(
      'integrity',
      `Cannot take "${toPrintable(name)}" from the tar archive: its name leads out of it`,
      {
        hint: 'Make the archive again without ".." in its names.',
      },
    );
  }
  return parts.join('/');
}

/** The two fields of a ustar header that a name fits in, or undefined when it does not fit. */
export function splitMemberName(
  name: ByteString,
): { readonly name: ByteString; readonly prefix: ByteString } | undefined {
  if (name.length <= 100) return { name, prefix: '' };
  if (name.length > 256) return undefined;
  const slash = name.indexOf('/', name.length - 101);
  if (slash <= 0 || slash > 155 || slash === name.length - 1) return undefined;
  return { name: name.slice(slash + 1), prefix: name.slice(0, slash) };
}
