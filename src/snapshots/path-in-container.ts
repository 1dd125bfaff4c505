import { AppError, isAppError } from '../model/errors.ts';
import { isWithin } from '../model/clean-path.ts';
import type { Snapshot } from '../model/snapshot.ts';

/**
 * Adds to a `not-found` the path below the volume's root, when the given path was one in the volume's
 * containers.
 */
export function explainContainerPath(error: unknown, { volume }: Snapshot, path: string): unknown {
  if (!isAppError(error, 'not-found')) return error;
  const absolute = path.startsWith('/') ? path : `/${path}`;
  const mounted = (volume?.consumers ?? [])
    .map((consumer) => consumer.path)
    .filter((at) => at !== '/' && isWithin(absolute, at))
    .toSorted((one, other) => other.length - one.length)[0];
  if (mounted === undefined) return error;
  const inside = absolute.slice(mounted.length + 1);
  return new AppError(error.code, error.message, {
    detail: error.detail,
    hint: `Paths begin at the volume's root, which is ${mounted} in the container: write ${inside === '' ? '/' : inside}`,
    cause: error,
  });
}
