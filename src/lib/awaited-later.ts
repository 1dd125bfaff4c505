/** For a promise that is awaited later, or by a caller that may not want it: until then, its failure is no unhandled rejection. */
export function awaitedLater(promise: Promise<unknown>): void {
  promise.catch(() => undefined);
}
