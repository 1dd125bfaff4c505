import { describe, expect, test } from 'vitest';
import { upstreamRequest } from './upstream-request.ts';

describe('a removal is recognised', () => {
  test.each([
    ['DELETE', '/volumes/pg', '', 'pg'],
    ['DELETE', '/v1.45/volumes/pg?force=1', '/v1.45', 'pg'],
    ['DELETE', '/v1.45/%76olumes/p%67', '/v1.45', 'pg'],
    ['DELETE', '/%76%31.45/volumes/pg', '/v1.45', 'pg'],
    ['DELETE', '/v./volumes/pg', '/v.', 'pg'],
    ['DELETE', '/v1.40-x/volumes/pg', '/v1.40-x', 'pg'],
    ['DELETE', 'http://docker/volumes/pg', '', 'pg'],
    ['DELETE', 'HTTPS://user@docker:1/v1.45/volumes/pg', '/v1.45', 'pg'],
    ['DELETE', '/volumes%2fpg', '', 'pg'],
    ['DELETE', '/volumes/pg#x', '', 'pg#x'],
    ['DELETE', '/volumes/pg%3Fforce', '', 'pg?force'],
    ['DELETE', '/volumes/pg/', '', 'pg/'],
    ['DELETE', '/volumes/a\\..\\pg', '', 'a\\..\\pg'],
  ])('%s %s', (method, target, version, name) => {
    expect(upstreamRequest(method, target)).toMatchObject({ kind: 'remove-volume', version, name });
  });

  test('of all unused volumes, and of a container with its volumes', () => {
    expect(upstreamRequest('POST', '/v1.45/volumes/prune?filters=%7B%7D')).toMatchObject({
      kind: 'prune-volumes',
      version: '/v1.45',
    });
    expect(upstreamRequest('DELETE', '/containers/web?v=1')).toEqual({
      kind: 'remove-container',
      name: 'web',
    });
    expect(upstreamRequest('DELETE', '/containers/web?v=0')).toEqual({ kind: 'other' });
  });
});

test.each([
  ['//volumes/pg', '/volumes/pg'],
  ['/v1.45//volumes/pg?force=1', '/v1.45/volumes/pg?force=1'],
  ['/v1.45/volumes/..%2fvolumes%2fpg', '/v1.45/volumes/pg'],
  ['/./volumes/pg', '/volumes/pg'],
  ['/exec/x/start/../../../volumes/pg', '/volumes/pg'],
  ['/volumes/a/%2e%2e/pg', '/volumes/pg'],
  ['/volumes/a%2f%2f%70g', '/volumes/a/pg'],
])('a path that can be read in two ways, %s, goes back to the client as %s', (target, location) => {
  for (const method of ['DELETE', 'GET', 'POST'])
    expect(upstreamRequest(method, target)).toEqual({ kind: 'unclean', location });
});

test('a request that no Docker Engine has never reaches one', () => {
  expect(upstreamRequest('DELETE', '/volumes/%ff')).toEqual({ kind: 'malformed' });
  for (const [method, target] of [
    ['DELETE', '/Volumes/pg'],
    ['DELETE', '/v1.45/VOLUMES/pg'],
    ['DELETE', '/libpod/volumes/pg'],
    ['POST', '/v5.0.0/libpod/volumes/prune'],
    ['POST', '/libpod/system/prune?volumes=true'],
    ['POST', '/volumes/Prune'],
  ] as const)
    expect(upstreamRequest(method, target)).toEqual({ kind: 'unknown-removal' });
});

describe('a connection is handed over', () => {
  test.each([
    ['POST', '/v1.45/exec/0a/start'],
    ['POST', '/containers/web/attach?stream=1'],
    ['GET', '/v1.45/containers/web/attach/ws'],
    ['POST', '/session'],
    ['POST', '/v1.45/grpc'],
  ])('for %s %s', (method, target) => {
    expect(upstreamRequest(method, target)).toEqual({ kind: 'take-connection' });
  });

  test.each([
    ['GET', '/exec/0a/start'],
    ['DELETE', '/session'],
    ['POST', '/containers/a/b/attach'],
    ['POST', '/containers/create'],
    ['POST', '/session/x'],
  ])('and not for %s %s', (method, target) => {
    expect(upstreamRequest(method, target)).toEqual({ kind: 'other' });
  });
});
