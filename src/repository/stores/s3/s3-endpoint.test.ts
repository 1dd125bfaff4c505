import { expect, test } from 'vitest';
import { bucketEndpoint, encodeKey, encodeQuery, regionOfHost } from './s3-endpoint.ts';

test.each([
  [{ endpoint: undefined, bucket: 'b', pathStyle: 'auto' }, 'https://b.s3.eu-west-1.amazonaws.com', '/'],
  [
    { endpoint: undefined, bucket: 'my.b', pathStyle: 'auto' },
    'https://s3.eu-west-1.amazonaws.com',
    '/my.b/',
  ],
  [{ endpoint: undefined, bucket: 'b', pathStyle: 'always' }, 'https://s3.eu-west-1.amazonaws.com', '/b/'],
  [{ endpoint: 'http://h:9000', bucket: 'b', pathStyle: 'auto' }, 'http://h:9000', '/b/'],
  [{ endpoint: 'http://h:9000', bucket: 'b', pathStyle: 'never' }, 'http://b.h:9000', '/'],
  [
    { endpoint: 'https://s3.eu-west-1.amazonaws.com', bucket: 'b', pathStyle: 'auto' },
    'https://b.s3.eu-west-1.amazonaws.com',
    '/',
  ],
] as const)('%j is at %s%s', (address, origin, root) => {
  expect(bucketEndpoint(address, 'eu-west-1')).toEqual({ origin, host: new URL(origin).host, root });
});

test('China has a domain of its own', () => {
  const address = { endpoint: undefined, bucket: 'b', pathStyle: 'auto' } as const;
  expect(bucketEndpoint(address, 'cn-north-1').host).toBe('b.s3.cn-north-1.amazonaws.com.cn');
});

test.each([
  ['s3.eu-west-1.amazonaws.com', 'eu-west-1'],
  ['s3-eu-west-1.amazonaws.com', 'eu-west-1'],
  ['b.s3.us-gov-west-1.amazonaws.com', 'us-gov-west-1'],
  ['s3.dualstack.eu-west-1.amazonaws.com', 'eu-west-1'],
  ['s3.amazonaws.com', undefined],
  ['minio.example', undefined],
])('%s is in %s', (host, region) => {
  expect(regionOfHost(host)).toBe(region);
});

test('keys and parameters are written as signatures want them', () => {
  expect(encodeKey("a b/c+d'(e)*~!ü")).toBe('a%20b/c%2Bd%27%28e%29%2A~%21%C3%BC');
  expect(encodeQuery({ uploads: '', prefix: 'a/b c' })).toBe('uploads=&prefix=a%2Fb%20c');
});
