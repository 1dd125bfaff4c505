import type { JobOptions } from './protection.ts';

type Work<P, R, T> = (parts: P, request: R, options: JobOptions) => Promise<T>;

/** A piece of work whose code is loaded when it is first called: what a command does not do must not slow its start. */
export function loadedLate<P, R, T>(
  parts: P,
  load: () => Promise<Work<P, R, T>>,
): (request: R, options?: JobOptions) => Promise<T> {
  return async (request, options = {}) => await (await load())(parts, request, options);
}
