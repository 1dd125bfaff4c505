import { AppError } from '../../model/errors.ts';
import type { FileType } from './store.ts';

/** The kinds of files that are named by their content, in the order in which their folders are made. */
export const namedTypes = ['keys', 'locks', 'snapshots', 'index', 'data'] as const;

const namePattern = /^[0-9a-f]{64}$/;
const shardPattern = /^[0-9a-f]{2}$/;

/** The path of a file in restic's default layout, below the repository's root. */
export function filePath(type: FileType, name: string): string {
  if (type === 'config') return 'config';
  if (!isFileName(name)) throw new AppError('failed', `"${name}" is no name of a file in a repository`);
  return type === 'data' ? `data/${name.slice(0, 2)}/${name}` : `${type}/${name}`;
}

export function isFileName(name: string): boolean {
  return namePattern.test(name);
}

/** True for the folders that `data` is spread over. */
export function isShardName(name: string): boolean {
  return shardPattern.test(name);
}

/** All 256 of them. */
export function shardNames(): string[] {
  return Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));
}

/** The name of the file at a path below the root; undefined for a path of another kind. */
export function nameAtPath(type: Exclude<FileType, 'config'>, path: string): string | undefined {
  const parts = path.split('/');
  const name = parts.at(-1) ?? '';
  return isFileName(name) && path === filePath(type, name) ? name : undefined;
}

/** Names that may stand at the root of a repository; anything else is foreign. */
export function isOwnRootName(name: string): boolean {
  // A fresh ext4 disk counts as empty, and the temporary file of a killed writer as nothing.
  const isNothing = name === 'lost+found' || name.startsWith('tmp-');
  return isNothing || name === 'config' || (namedTypes as readonly string[]).includes(name);
}
