import type { IncomingMessage, ServerResponse } from 'node:http';
import { knownError } from '../../lib/known-error.ts';
import { describeRequest, type RequestHandler } from '../serve/request-guard.ts';
import { version as programVersion } from '../../lib/version.ts';
import type { AppError } from '../../model/errors.ts';
import { errorLine } from '../error-line.ts';
import { ApiError, pageNotFound, statusOf } from './api-error.ts';
import type { ApiCall, ApiParts } from './api-parts.ts';
import { checkVersion, newestVersion, splitVersion } from './api-version.ts';
import { showDiskUsage } from './disk-usage-route.ts';
import { streamEvents } from './event-routes.ts';
import { decodePath, plainLocation, plainPath, splitTarget } from './request-target.ts';
import { redirect, sendJson } from './send.ts';
import { listNothing, ping, showInfo, showVersion } from './system-routes.ts';
import {
  createVolume,
  inspectVolume,
  listVolumes,
  pruneVolumes,
  removeVolume,
  updateVolume,
} from './volume-routes.ts';

type Route = (parts: ApiParts, call: ApiCall) => Promise<void>;

/** Every route served here, the more specific ones first. A group in the pattern is a volume's name. */
const routes: readonly (readonly [method: string, path: RegExp, route: Route])[] = [
  ['GET', /^\/_ping$/, ping],
  ['HEAD', /^\/_ping$/, ping],
  ['GET', /^\/version$/, showVersion],
  ['GET', /^\/info$/, showInfo],
  ['GET', /^\/events$/, streamEvents],
  ['GET', /^\/system\/df$/, showDiskUsage],
  ['GET', /^\/containers\/json$/, listNothing],
  ['GET', /^\/images\/json$/, listNothing],
  ['GET', /^\/volumes$/, listVolumes],
  ['POST', /^\/volumes\/create$/, createVolume],
  ['POST', /^\/volumes\/prune$/, pruneVolumes],
  ['GET', /^\/volumes\/(.*)$/s, inspectVolume],
  ['PUT', /^\/volumes\/(.*)$/s, updateVolume],
  ['DELETE', /^\/volumes\/(.*)$/s, removeVolume],
];

export interface ApiListenerOptions {
  /** Opened while the socket is already served: earlier requests wait. */
  readonly parts: Promise<ApiParts>;
  /** Called for every request that failed by an error of Holdfast or the machine. */
  readonly onFailure: (what: string, error: AppError) => void;
}

/** Serves the Engine API's volume routes. */
export function apiListener({ parts, onFailure }: ApiListenerOptions): RequestHandler {
  return async (request, response) => {
    try {
      await respond(request, response, parts);
    } catch (error) {
      const known = knownError(error, 'Cannot answer');
      if (statusOf(known) >= 500) onFailure(describeRequest(request), known);
      sendError(response, known);
    }
  };
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  parts: Promise<ApiParts>,
): Promise<void> {
  const { rawPath, query } = splitTarget(request.url ?? '/');
  const decoded = decodePath(rawPath);
  if (decoded === undefined) throw new ApiError(400, 'the path cannot be read');
  const plain = plainPath(decoded);
  if (plain !== decoded) return redirect(response, plainLocation(plain, query));
  const asked = splitVersion(decoded);
  const [found, name = ''] = routeOf(request.method ?? '', asked.path);
  if (found === undefined) throw pageNotFound();
  response.setHeader('Api-Version', newestVersion);
  response.setHeader('Docker-Experimental', 'false');
  response.setHeader('Ostype', 'linux');
  response.setHeader('Server', `Holdfast/${programVersion} (linux)`);
  checkVersion(asked.version);
  const gone = new AbortController();
  // After a complete answer, "close" is no disconnect.
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  await found(await parts, {
    request,
    response,
    version: asked.version,
    query: new URLSearchParams(query),
    name,
    signal: gone.signal,
  });
}

function routeOf(method: string, path: string): [Route, string] | [] {
  for (const [verb, pattern, route] of routes) {
    const match = verb === method ? pattern.exec(path) : null;
    if (match !== null) return [route, match[1] ?? ''];
  }
  return [];
}

function sendError(response: ServerResponse, error: AppError): void {
  // An answer that has begun cannot be replaced: it is cut off, so that the client sees that it is
  // incomplete.
  if (response.headersSent) response.destroy();
  else sendJson(response, statusOf(error), { message: errorLine(error) });
}
