import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { knownError } from '../../lib/known-error.ts';
import type { AppError } from '../../model/errors.ts';
import { errorLine } from '../error-line.ts';
import { ApiError, pageNotFound, statusOf } from './api-error.ts';
import { sendJson } from './send.ts';
import { passThrough } from './upstream.ts';
import {
  checkContainerRemoval,
  pruneUpstream,
  type RemovalParts,
  removeUpstream,
} from './upstream-removal.ts';
import { upstreamRequest, type UpstreamRequest } from './upstream-request.ts';

export interface UpstreamListenerOptions {
  /** Opened while the socket is served already: removals wait for it, and nothing else does. */
  readonly parts: Promise<RemovalParts>;
  readonly upstream: RemovalParts['upstream'];
  readonly onFailure: (what: string, error: AppError) => void;
}

/** Passes everything to the engine behind us but the removal of volumes, whose data is kept in the trash. */
export function upstreamListener({ parts, upstream, onFailure }: UpstreamListenerOptions): RequestListener {
  const pass = passThrough(upstream);
  return (request, response) => {
    const asked = upstreamRequest(request.method ?? '', request.url ?? '/');
    if (asked.kind === 'other' || asked.kind === 'take-connection') return pass(request, response);
    const fail = (error: unknown): void => {
      const known = knownError(error, 'Cannot answer');
      if (statusOf(known) >= 500) onFailure(`${request.method} ${request.url}`, known);
      if (response.headersSent) response.destroy();
      else sendJson(response, statusOf(known), { message: errorLine(known) });
    };
    if (asked.kind === 'remove-container') {
      parts
        .then((opened) => checkContainerRemoval(opened, asked.name))
        .then(() => pass(request, response), fail);
      return;
    }
    answer(asked, { request, response, parts }).catch(fail);
  };
}

/** A removal is finished even when nobody waits for it any more. */
async function answer(
  asked: Exclude<UpstreamRequest, { readonly kind: 'other' | 'take-connection' | 'remove-container' }>,
  {
    request,
    response,
    parts,
  }: {
    readonly request: IncomingMessage;
    readonly response: ServerResponse;
    readonly parts: Promise<RemovalParts>;
  },
): Promise<void> {
  request.resume();
  if (asked.kind === 'malformed') throw new ApiError(400, 'the path cannot be read');
  if (asked.kind === 'unknown-removal') throw pageNotFound();
  if (asked.kind === 'unclean') {
    response.writeHead(301, { Location: asked.location, 'Content-Length': 0 });
    response.end();
    return;
  }
  if (asked.kind === 'prune-volumes') await pruneUpstream(await parts, asked, response);
  else await removeUpstream(await parts, asked, response);
}
