import { mkdirSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The folder for compiled code; undefined when no safe one exists. Another user who can write there decides
 * what runs: root's is never below a home folder, which with sudo may be another user's, and no user's may be
 * one that another can change or replace.
 */
export function compileCacheDir(env: Environment, uid: number | undefined): string | undefined {
  if (env['NODE_COMPILE_CACHE'] || env['NODE_DISABLE_COMPILE_CACHE'] || uid === undefined) return undefined;
  const folder = uid === 0 ? '/var/cache/holdfast/code' : folderOfUser(env);
  return folder !== undefined && isOnlyOurs(folder, uid) ? folder : undefined;
}

function folderOfUser(env: Environment): string | undefined {
  const base = env['XDG_CACHE_HOME'] || (env['HOME'] ? path.join(env['HOME'], '.cache') : undefined);
  return base !== undefined && path.isAbsolute(base) ? path.join(base, 'holdfast', 'code') : undefined;
}

/**
 * Makes the folder when it is missing. A parent may be shared if only owners can rename its entries (sticky).
 */
function isOnlyOurs(folder: string, uid: number): boolean {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const real = realpathSync(folder);
    for (let at = real; ; at = path.dirname(at)) {
      const { uid: owner, mode } = statSync(at);
      const isShared = (mode & 0o022) !== 0 && (at === real || (mode & 0o1000) === 0);
      if (isShared || (owner !== uid && owner !== 0)) return false;
      if (at === path.dirname(at)) return true;
    }
  } catch {
    // It cannot be made or read: every start compiles anew.
    return false;
  }
}
