import { randomBytes } from 'node:crypto';

/** What a volume's folder in the trash, and on its way out of it, is called after its name. */
const longestEnding = '.0123456789abcdef.removing';
/** No folder's name may have more than 255. */
const longest = 255 - longestEnding.length;
/** A dot and six more. */
const tokenLength = 7;

/** True when a volume of ours by this name can go to the trash. */
export function fitsTrash(name: string): boolean {
  return name.length <= longest;
}

/** A name that none has, and that shows which one it stands for. */
export function nameNear(name: string): string {
  return `${name.slice(0, longest - tokenLength)}.${randomBytes(3).toString('hex')}`;
}
