import { ApiError } from './api-error.ts';
import { askUpstream, jsonOf } from './ask-upstream.ts';
import type { Upstream } from './send-upstream.ts';

/** Asks an engine for its id, until it has answered once. */
export function engineIdOf(upstream: Upstream): () => Promise<string> {
  let known: string | undefined;
  return async () => {
    if (known !== undefined) return known;
    const info = jsonOf<{ readonly ID?: string }>(
      await askUpstream(upstream, { method: 'GET', path: '/info' }),
    );
    if (!info?.ID)
      throw new ApiError(503, 'the engine does not say who it is, so nobody knows what is protected');
    return (known = info.ID);
  };
}
