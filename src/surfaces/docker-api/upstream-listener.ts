import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { knownError } from '../../lib/known-error.ts';
import type { AppError } from '../../model/errors.ts';
import { errorLine } from '../error-line.ts';
import { statusOf } from './api-error.ts';
import type { ApiCall } from './api-parts.ts';
import { splitVersion } from './api-version.ts';
import { sendJson } from './send.ts';
import { passThrough } from './upstream.ts';
import { pruneUpstream, type RemovalParts, removeUpstream } from './upstream-removal.ts';

export interface UpstreamListenerOptions {
  /** Opened while the socket is served already: removals wait for it, and nothing else does. */
  readonly parts: Promise<RemovalParts>;
  readonly upstream: RemovalParts['upstream'];
  readonly onFailure: (what: string, error: AppError) => void;
}

type Removal = (parts: RemovalParts, call: ApiCall) => Promise<void>;

/** Passes everything to the engine behind us but the removal of volumes, whose data is kept in the trash. */
export function upstreamListener({ parts, upstream, onFailure }: UpstreamListenerOptions): RequestListener {
  const pass = passThrough(upstream);
  return (request, response) => {
    const url = new URL(request.url ?? '/', 'http://docker');
    const asked = splitVersion(url.pathname);
    const [removal, name] = removalOf(request.method ?? '', asked?.path ?? '');
    if (asked === undefined || removal === undefined) return pass(request, response);
    const call = { request, response, version: asked.version, query: url.searchParams, name };
    answer(removal, call, parts).catch((error: unknown) => {
      const known = knownError(error, 'Cannot answer');
      onFailure(`${request.method} ${request.url}`, known);
      if (response.headersSent) response.destroy();
      else sendJson(response, statusOf(known), { message: errorLine(known) });
    });
  };
}

/** A removal is finished even when nobody waits for it any more. */
async function answer(
  removal: Removal,
  call: Omit<ApiCall, 'signal'> & { readonly request: IncomingMessage; readonly response: ServerResponse },
  parts: Promise<RemovalParts>,
): Promise<void> {
  call.request.resume();
  await removal(await parts, { ...call, signal: new AbortController().signal });
}

function removalOf(method: string, path: string): [Removal | undefined, string] {
  if (method === 'POST' && path === '/volumes/prune') return [pruneUpstream, ''];
  const [, name] = /^\/volumes\/(.+)$/s.exec(path) ?? [];
  return method === 'DELETE' && name !== undefined ? [removeUpstream, name] : [undefined, ''];
}
