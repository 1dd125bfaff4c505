import path from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where compiled code may be kept. For root it is never below a home folder: with sudo that may be another user's, and
 * whoever can write the cache decides what runs. Undefined where there is no good place.
 */
export function compileCacheDir(env: Environment, uid: number | undefined): string | undefined {
  if (env['NODE_COMPILE_CACHE'] || env['NODE_DISABLE_COMPILE_CACHE']) return undefined;
  if (uid === 0) return '/var/cache/holdfast/code';
  const base = env['XDG_CACHE_HOME'] || (env['HOME'] ? path.join(env['HOME'], '.cache') : undefined);
  return base !== undefined && path.isAbsolute(base) ? path.join(base, 'holdfast', 'code') : undefined;
}
