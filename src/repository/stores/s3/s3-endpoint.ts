import type { S3Address } from '../address.ts';

/** Where the requests for a bucket go. */
export interface BucketEndpoint {
  /** `https://host:port`. */
  readonly origin: string;
  readonly host: string;
  /** The path before an object's key: `/` or `/bucket/`. */
  readonly root: string;
}

/** The bucket's name goes into the host where the service requires that, and into the path otherwise. */
export function bucketEndpoint(
  { endpoint, bucket, pathStyle }: Pick<S3Address, 'endpoint' | 'bucket' | 'pathStyle'>,
  region: string,
): BucketEndpoint {
  const url = new URL(endpoint ?? amazonEndpoint(region));
  const inHost =
    pathStyle === 'never' || (pathStyle === 'auto' && isAmazon(url.hostname) && !bucket.includes('.'));
  const host = inHost ? `${bucket}.${url.host}` : url.host;
  return { origin: `${url.protocol}//${host}`, host, root: inHost ? '/' : `/${encodeKey(bucket)}/` };
}

function amazonEndpoint(region: string): string {
  const domain = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
  return `https://s3.${region}.${domain}`;
}

function isAmazon(hostname: string): boolean {
  return /(^|\.)amazonaws\.com(\.cn)?$/.test(hostname);
}

/** The region named in a host of Amazon's. */
export function regionOfHost(hostname: string): string | undefined {
  return /(?:^|\.)s3[.-](?:dualstack\.)?([a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(?:\.cn)?$/.exec(
    hostname,
  )?.[1];
}

/** Encoded for signatures of version 4: everything but letters, digits, `-_.~` and slashes. */
export function encodeKey(key: string): string {
  return key.split('/').map(encodeStrictly).join('/');
}

export function encodeQuery(parameters: Readonly<Record<string, string>>): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${encodeStrictly(name)}=${encodeStrictly(value)}`)
    .join('&');
}

function encodeStrictly(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
