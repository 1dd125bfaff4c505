import { decodePath, plainLocation, plainPath, splitTarget } from './request-target.ts';

/** How a request to the upstream engine is handled here. */
export type UpstreamRequest =
  | ({ readonly kind: 'remove-volume'; readonly name: string } & Place)
  | ({ readonly kind: 'prune-volumes' } & Place)
  /** Together with its anonymous volumes. */
  | { readonly kind: 'remove-container'; readonly name: string }
  /** The connection becomes a raw byte stream of the client. */
  | { readonly kind: 'take-connection' }
  /** The engine would redirect the client to the plain form of the path. */
  | { readonly kind: 'unclean'; readonly location: string }
  /** Two programs might parse it differently. */
  | { readonly kind: 'malformed' }
  /** It would remove volumes in a way that no Docker Engine has. */
  | { readonly kind: 'unknown-removal' }
  | { readonly kind: 'other' };

interface Place {
  /** As in the path: '' or `/v1.45`. */
  readonly version: string;
  readonly query: URLSearchParams;
}

const connectionTakers: readonly (readonly [method: string, path: RegExp])[] = [
  ['POST', /^\/containers\/[^/]+\/attach$/],
  ['GET', /^\/containers\/[^/]+\/attach\/ws$/],
  ['POST', /^\/exec\/[^/]+\/start$/],
  // Used by BuildKit's clients.
  ['POST', /^\/session$/],
  ['POST', /^\/grpc$/],
];

/**
 * Reads a request line as the engine does, whatever its headers. A path is accepted only in the one form that
 * all programs parse alike; every other form gets its own answer and never reaches the engine.
 */
export function upstreamRequest(method: string, target: string): UpstreamRequest {
  // `*` stands for the whole server.
  if (method === 'OPTIONS' && target === '*') return { kind: 'other' };
  const { rawPath, query } = splitTarget(target);
  const decoded = decodePath(rawPath);
  if (decoded === undefined) return { kind: 'malformed' };
  const plain = plainPath(decoded);
  if (plain !== decoded) return { kind: 'unclean', location: plainLocation(plain, query) };
  const [, version = '', path = ''] = /^(\/v[0-9.][^/]*)?(\/.*)$/s.exec(decoded) ?? [];
  const place = { version, query: new URLSearchParams(query) };
  if (method === 'POST' && path === '/volumes/prune') return { kind: 'prune-volumes', ...place };
  const [, name] = /^\/volumes\/(.+)$/s.exec(path) ?? [];
  if (method === 'DELETE' && name !== undefined) return { kind: 'remove-volume', name, ...place };
  if (isUnknownRemoval(method, path)) return { kind: 'unknown-removal' };
  const [, container] = /^\/containers\/([^/]+)$/.exec(path) ?? [];
  if (method === 'DELETE' && container !== undefined && isTrue(place.query.get('v')))
    return { kind: 'remove-container', name: container };
  const takes = connectionTakers.some(([verb, pattern]) => verb === method && pattern.test(path));
  return { kind: takes ? 'take-connection' : 'other' };
}

/** Another spelling, or a route of Podman's own, which can remove volumes in a dozen ways. */
function isUnknownRemoval(method: string, path: string): boolean {
  if (method !== 'GET' && method !== 'HEAD' && path.startsWith('/libpod/')) return true;
  if (method === 'DELETE') return /^\/volumes(\/|$)/i.test(path);
  return /^\/volumes\/prune\/?$/i.test(path);
}

/** As the engine reads a flag. */
function isTrue(value: string | null): boolean {
  return !['', '0', 'no', 'false', 'none'].includes((value ?? '').trim().toLowerCase());
}
