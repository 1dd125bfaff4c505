/**
 * The shortest equivalent path, by text alone: no `.`, no `//`, no `..` that can be resolved. Works on text
 * and on ByteStrings. The empty path becomes '.'.
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

/**
 * True for a relative path that stays within its base: not empty, no leading `/`, no `..` that leads outside.
 */
export function isLocalPath(path: string): boolean {
  if (path === '' || path.startsWith('/')) return false;
  const cleaned = cleanPath(path);
  return cleaned !== '..' && !cleaned.startsWith('../');
}

/** `path` made absolute: a relative one is resolved against `directory`. */
export function resolvePath(path: string, directory: string): string {
  return cleanPath(path.startsWith('/') ? path : `${directory}/${path}`);
}

/** Whether a path is in a folder, both absolute and clean; true for the folder itself too. Pure. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

/** How a path was typed: `dir/` must be a directory, `dir/.` means what is in it. */
export type PathSuffix = '' | '/' | '/.';

/** The suffix of a path as typed, before cleaning removes it. */
export function pathSuffix(text: string): PathSuffix {
  if (text === '.' || text.endsWith('/.')) return '/.';
  return text.endsWith('/') ? '/' : '';
}
