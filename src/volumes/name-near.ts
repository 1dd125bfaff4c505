import { randomBytes } from 'node:crypto';
import { longestOwnName } from '../model/volume-name.ts';

/** A dot and six more. */
const tokenLength = 7;

/** True when a volume of ours by this name can go to the trash. */
export function fitsTrash(name: string): boolean {
  return name.length <= longestOwnName;
}

/** A name that none has, and that shows which one it stands for. */
export function nameNear(name: string): string {
  return `${name.slice(0, longestOwnName - tokenLength)}.${randomBytes(3).toString('hex')}`;
}
