/** How a path was typed: `dir/` must be a directory, `dir/.` means what is in it. */
export type PathSuffix = '' | '/' | '/.';

/** The ending of a path as it was typed, before cleaning takes it away. */
export function pathSuffix(text: string): PathSuffix {
  if (text === '.' || text.endsWith('/.')) return '/.';
  return text.endsWith('/') ? '/' : '';
}
