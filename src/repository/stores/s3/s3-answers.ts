/** What an error answer of S3 says. */
export interface S3Fault {
  /** `NoSuchKey`, `SlowDown`, …; '' where the answer has no words. */
  readonly code: string;
  readonly message: string;
  /** The region that the bucket is in, when the request went to another. */
  readonly region: string | undefined;
}

export interface S3Object {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number | undefined;
}

export interface S3Page {
  readonly objects: readonly S3Object[];
  /** What the keys go on with after a delimiter. */
  readonly prefixes: readonly string[];
  /** Undefined on the last page. */
  readonly next: string | undefined;
}

export interface S3Upload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiated: string;
}

export function parseFault(body: Buffer, headers: Readonly<Record<string, string | undefined>>): S3Fault {
  const text = body.subarray(0, 65_536).toString('utf8');
  return {
    code: textOf(text, 'Code') ?? '',
    message: textOf(text, 'Message') ?? '',
    region: textOf(text, 'Region') ?? headers['x-amz-bucket-region'],
  };
}

/**
 * A page of `ListObjectsV2` with `encoding-type=url`; undefined for an answer that is none. A list that is taken for
 * shorter than it is would be taken for files that are gone.
 */
export function parsePage(body: Buffer): S3Page | undefined {
  const text = body.toString('utf8');
  // Cut short, it has lost its end.
  if (!/<ListBucketResult[\s>]/.test(text) || !/<\/ListBucketResult>\s*$/.test(text)) return undefined;
  const isTruncated = textOf(text, 'IsTruncated')?.trim();
  if (isTruncated !== 'true' && isTruncated !== 'false') return undefined;
  const objects = elements(text, 'Contents').map((element) => ({
    key: decodeKey(textOf(element, 'Key') ?? ''),
    sizeBytes: Number(textOf(element, 'Size') ?? Number.NaN),
    modifiedMs: timeOf(textOf(element, 'LastModified')),
  }));
  if (!objects.every(({ sizeBytes }) => Number.isSafeInteger(sizeBytes) && sizeBytes >= 0)) return undefined;
  const prefixes = elements(text, 'CommonPrefixes').map((element) =>
    decodeKey(textOf(element, 'Prefix') ?? ''),
  );
  const next = textOf(text, 'NextContinuationToken');
  if (isTruncated === 'false') return { objects, prefixes, next: undefined };
  return next === undefined ? undefined : { objects, prefixes, next };
}

export function parseUploads(body: Buffer): S3Upload[] {
  return elements(body.toString('utf8'), 'Upload').map((element) => ({
    key: decodeKey(textOf(element, 'Key') ?? ''),
    uploadId: textOf(element, 'UploadId') ?? '',
    initiated: textOf(element, 'Initiated') ?? '',
  }));
}

function timeOf(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? undefined : ms;
}

/** The text of the first element of that name, which has no elements in it. */
export function textOf(xml: string, name: string): string | undefined {
  const found = new RegExp(`<${name}(?:\\s[^>]*)?>([^<]*)</${name}>`).exec(xml)?.[1];
  return found === undefined ? undefined : decodeEntities(found);
}

function elements(xml: string, name: string): string[] {
  return Array.from(xml.matchAll(new RegExp(`<${name}>(.*?)</${name}>`, 'gs')), ([, inside]) => inside ?? '');
}

/** Keys that are no UTF-8 belong to others; they keep their escapes and match nothing of ours. */
function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch {
    return key;
  }
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function decodeEntities(text: string): string {
  return text.replace(/&(#x?[0-9a-fA-F]+|[a-z]+);/g, (whole, name: string) => {
    if (!name.startsWith('#')) return entities[name] ?? whole;
    const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
