/** Whether a path is in a folder, both absolute and clean; true for the folder itself too. Pure. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}
