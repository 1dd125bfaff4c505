import { readFileSync } from 'node:fs';
import { type MountPoint, mountAt } from '../../lib/mountinfo.ts';
import { fromText } from '../../model/byte-string.ts';
import { isWithin } from '../../model/clean-path.ts';

/**
 * Where a file system belongs, by `/etc/fstab`, that a path would lie on and that is not mounted: the data is
 * there, and a folder made in its place would hide that.
 */
export function unmountedOver(
  place: string,
  mounts: readonly MountPoint[],
  table = '/etc/fstab',
): string | undefined {
  return placesIn(table).find(
    (at) => at !== '/' && isWithin(place, at) && mountAt(mounts, fromText(at)) === undefined,
  );
}

function placesIn(table: string): string[] {
  let text: string;
  try {
    text = readFileSync(table, 'utf8');
  } catch {
    // A container has none.
    return [];
  }
  return text.split('\n').flatMap((line) => {
    const [, at = ''] = /^\s*[^#\s]\S*\s+(\/\S*)/.exec(line) ?? [];
    // Blanks are written as \040.
    const place = at.replace(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
    return place === '' ? [] : [place.replace(/(.)\/+$/, '$1')];
  });
}
