import type { Notifier } from './notifier.ts';

/** Tells nobody. */
export function openNotifier(): Notifier {
  return {
    begin() {},
    tell() {},
    test: async () => [],
    async [Symbol.asyncDispose]() {},
  };
}
