import { ApiError } from './api-error.ts';

/** The newest and the oldest supported version of the Engine API. */
export const newestVersion = '1.52';
export const oldestVersion = '1.24';

export interface VersionedPath {
  readonly version: string;
  /** Without the version. */
  readonly path: string;
}

/** Splits the version from a decoded path. */
export function splitVersion(decoded: string): VersionedPath {
  const [, version, path] = /^\/v([0-9][0-9.]*)(\/.*)$/s.exec(decoded) ?? [];
  return version === undefined || path === undefined
    ? { version: newestVersion, path: decoded }
    : { version, path };
}

/** With the engine's messages. */
export function checkVersion(version: string): void {
  if (isOlder(version, oldestVersion)) {
    throw new ApiError(
      400,
      `client version ${version} is too old. Minimum supported API version is ${oldestVersion}, please upgrade your client to a newer version`,
    );
  }
  if (isOlder(newestVersion, version)) {
    throw new ApiError(
      400,
      `client version ${version} is too new. Maximum supported API version is ${newestVersion}`,
    );
  }
}

/** Compares part by part, as numbers. */
export function isOlder(version: string, than: string): boolean {
  const [left, right] = [partsOf(version), partsOf(than)];
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function partsOf(version: string): number[] {
  return version.split('.').map(Number);
}
