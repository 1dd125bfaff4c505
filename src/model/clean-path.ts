/**
 * The shortest path that means the same, as text alone tells: no `.`, no `//`, no `..` that can be resolved.
 * Works on text and on ByteStrings alike. The empty path is '.'.
 */
export function cleanPath(path: string): string {
  const absolute = path.startsWith('/');
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== '..') kept.pop();
    else if (!absolute) kept.push('..');
  }
  const joined = kept.join('/');
  if (absolute) return `/${joined}`;
  return joined === '' ? '.' : joined;
}

/** True for a relative path that stays where it starts: not empty, no leading `/`, no `..` that leads out. */
export function isLocalPath(path: string): boolean {
  if (path === '' || path.startsWith('/')) return false;
  const cleaned = cleanPath(path);
  return cleaned !== '..' && !cleaned.startsWith('../');
}

/** `path` made absolute: one that is already is kept, a relative one is taken from `directory`. */
export function resolvePath(path: string, directory: string): string {
  return cleanPath(path.startsWith('/') ? path : `${directory}/${path}`);
}

/** Whether a path is in a folder, both absolute and clean; true for the folder itself too. Pure. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

/** How a path was typed: `dir/` must be a directory, `dir/.` means what is in it. */
export type PathSuffix = '' | '/' | '/.';

/** The ending of a path as it was typed, before cleaning takes it away. */
export function pathSuffix(text: string): PathSuffix {
  if (text === '.' || text.endsWith('/.')) return '/.';
  return text.endsWith('/') ? '/' : '';
}
