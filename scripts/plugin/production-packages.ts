import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface LockFile {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly optional?: boolean }>>;
}

/**
 * Copies the packages that the product needs, in the lock file's versions, without parts for other platforms.
 */
export function copyProductionPackages(root: string, target: string): void {
  for (const path of productionPackages(root)) {
    cpSync(join(root, path), join(target, path), {
      recursive: true,
      filter: (source) => !isForOthers(source),
    });
  }
}

/** Paths from the root of the checkout. Excludes the Node.js package, which is copied to its own place. */
export function productionPackages(root: string): string[] {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as LockFile;
  return Object.entries(lock.packages).flatMap(([path, { dev, optional }]) => {
    if (path === '' || dev === true || path.startsWith('node_modules/node-linux-')) return [];
    if (existsSync(join(root, path))) return [path];
    if (optional === true) return [];
    throw new Error(`"${path}" is not installed`);
  });
}

/** Native code for other systems and processors. */
function isForOthers(path: string): boolean {
  const [, built] = /\/prebuilds\/([^/]+)$/.exec(path) ?? [];
  return (
    (built !== undefined && built !== `linux-${process.arch}`) || /\/koffi-linux-\w+\/musl_\w+$/.test(path)
  );
}
