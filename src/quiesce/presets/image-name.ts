export interface ImageName {
  /** Without registry, tag and digest: `bitnami/postgresql`. */
  readonly path: string;
  /** The last part of it: `postgresql`. */
  readonly base: string;
}

/** Reads `registry:5000/library/postgres:16@sha256:…`. Pure. */
export function parseImageName(image: string): ImageName {
  const withoutDigest = image.split('@')[0] ?? '';
  const slash = withoutDigest.lastIndexOf('/');
  const colon = withoutDigest.indexOf(':', slash + 1);
  const name = (colon === -1 ? withoutDigest : withoutDigest.slice(0, colon)).toLowerCase();
  const parts = name.split('/').filter((part) => part !== '');
  const [first = ''] = parts;
  const hasRegistry = parts.length > 1 && (/[.:]/.test(first) || first === 'localhost');
  const own = hasRegistry ? parts.slice(1) : parts;
  return { path: own.join('/').replace(/^library\//, ''), base: own.at(-1) ?? '' };
}
