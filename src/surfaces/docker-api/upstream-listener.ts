import type { IncomingMessage, ServerResponse } from 'node:http';
import { knownError } from '../../lib/known-error.ts';
import { describeRequest, type RequestHandler } from '../serve/request-guard.ts';
import type { AppError } from '../../model/errors.ts';
import { errorLine } from '../error-line.ts';
import { ApiError, pageNotFound, statusOf } from './api-error.ts';
import { redirect, sendJson } from './send.ts';
import { passThrough } from './upstream.ts';
import {
  checkContainerRemoval,
  pruneUpstream,
  type RemovalParts,
  removeUpstream,
} from './upstream-removal.ts';
import { upstreamRequest, type UpstreamRequest } from './upstream-request.ts';

export interface UpstreamListenerOptions {
  /** Opened while the socket is already served: only removals wait for it. */
  readonly parts: Promise<RemovalParts>;
  readonly upstream: RemovalParts['upstream'];
  readonly onFailure: (what: string, error: AppError) => void;
}

/**
 * Passes everything to the upstream engine, except the removal of volumes, whose data is kept in the trash.
 */
export function upstreamListener({ parts, upstream, onFailure }: UpstreamListenerOptions): RequestHandler {
  const pass = passThrough(upstream);
  return async (request, response) => {
    const asked = upstreamRequest(request.method ?? '', request.url ?? '/');
    if (asked.kind === 'other' || asked.kind === 'take-connection') return await pass(request, response);
    try {
      if (asked.kind !== 'remove-container') return await answer(asked, { request, response, parts });
      await checkContainerRemoval(await parts, asked.name);
    } catch (error) {
      const known = knownError(error, 'Cannot answer');
      if (statusOf(known) >= 500) onFailure(describeRequest(request), known);
      if (response.headersSent) return void response.destroy();
      response.setHeaders(upstream.says);
      return sendJson(response, statusOf(known), { message: errorLine(known) });
    }
    await pass(request, response);
  };
}

/** A removal is finished even after the client disconnects. */
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
  if (asked.kind === 'unclean') return redirect(response, asked.location);
  if (asked.kind === 'prune-volumes') await pruneUpstream(await parts, asked, response);
  else await removeUpstream(await parts, asked, response);
}
