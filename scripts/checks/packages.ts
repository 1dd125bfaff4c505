import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Manifest {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface LockFile {
  readonly packages: Readonly<Record<string, Manifest>>;
}

const kinds = ['dependencies', 'devDependencies', 'optionalDependencies'] as const;

/** Returns what is wrong with package.json and package-lock.json of a folder, one line each. */
export function findPackageFaults(root: string): string[] {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as LockFile;
  return [...compare(manifest, lock), ...findLockFaults(lock)];
}

function compare(manifest: Manifest, lock: LockFile): string[] {
  const locked = lock.packages[''] ?? {};
  return kinds.flatMap((kind) => {
    const names = new Set([...Object.keys(manifest[kind] ?? {}), ...Object.keys(locked[kind] ?? {})]);
    return [...names].flatMap((name) => {
      const version = manifest[kind]?.[name];
      if (version !== locked[kind]?.[name]) {
        return [
          `package-lock.json does not follow package.json in "${name}": run npm install --ignore-scripts`,
        ];
      }
      if (version === undefined || !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version)) {
        return [`package.json: the version of "${name}" is not exact: "${version}"`];
      }
      return [];
    });
  });
}

function findLockFaults(lock: LockFile): string[] {
  return Object.entries(lock.packages).flatMap(([path, entry]) => {
    if (path === '') return [];
    if (entry.resolved !== undefined)
      return [`package-lock.json: "${path}" names where it was downloaded from`];
    if (entry.integrity === undefined && entry.link !== true)
      return [`package-lock.json: "${path}" has no integrity`];
    return [];
  });
}
