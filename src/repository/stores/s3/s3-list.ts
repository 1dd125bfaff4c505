import { AppError } from '../../../model/errors.ts';
import type { S3Address } from '../address.ts';
import type { HttpResponse } from '../http/transport.ts';
import { throwIfAborted, unavailable } from '../store-errors.ts';
import type { StoreOptions } from '../store.ts';
import { parseFault, parsePage, s3Error, type S3Object, type S3Page } from './s3-answers.ts';
import type { S3Client } from './s3-client.ts';

export interface ListRequest {
  readonly prefix: string;
  readonly location: string;
  /** The names below the prefix begin with hex digits, evenly distributed. */
  readonly isSpread: boolean;
}

const hexDigits = '0123456789abcdef';
const listsAtOnce = 4;

/**
 * All objects below a prefix. Many evenly distributed ones are listed from sixteen starting points, several
 * at a time.
 */
export async function listObjects(
  client: S3Client,
  { prefix, location, isSpread }: ListRequest,
  options: StoreOptions,
): Promise<S3Object[]> {
  const first = await listPage(client, { prefix, location }, options);
  if (first.next === undefined) return [...first.objects];
  const found: S3Object[] = [];
  if (!isSpread) {
    found.push(...first.objects);
    await listRest(client, { prefix, location, next: first.next }, { ...options, found });
    return found;
  }
  const digits = hexDigits[Symbol.iterator]();
  const listNext = async (): Promise<void> => {
    for (const digit of digits) {
      await listRest(client, { prefix: prefix + digit, location, next: undefined }, { ...options, found });
    }
  };
  await Promise.all(Array.from({ length: listsAtOnce }, listNext));
  return found;
}

/** The names at the repository's root, one level deep; undefined when the bucket does not exist. */
export async function namesAtRoot(
  client: S3Client,
  { prefix, text }: Pick<S3Address, 'prefix' | 'text'>,
  options: StoreOptions,
): Promise<string[] | undefined> {
  const root = prefix === '' ? '' : `${prefix}/`;
  const query = { 'list-type': '2', prefix: root, delimiter: '/', 'max-keys': '100', 'encoding-type': 'url' };
  const { signal } = options;
  const response = await client.request({ method: 'GET', key: '', query, signal });
  if (response.status === 404 && parseFault(response.body, response.headers).code === 'NoSuchBucket')
    return undefined;
  if (response.status !== 200) throw s3Error(text, response);
  const { objects, prefixes } = pageOf(response, text);
  const keys = [...objects.map(({ key }) => key), ...prefixes];
  // Some programs create an empty object for the folder itself.
  return keys.map((key) => key.slice(root.length).replace(/\/$/, '')).filter((name) => name !== '');
}

interface PageRequest {
  readonly prefix: string;
  readonly location: string;
  readonly next?: string | undefined;
}

async function listRest(
  client: S3Client,
  asked: PageRequest,
  { found, ...options }: StoreOptions & { readonly found: S3Object[] },
): Promise<void> {
  let next = asked.next;
  do {
    throwIfAborted(options.signal);
    const page = await listPage(client, { ...asked, next }, options);
    for (const object of page.objects) found.push(object);
    next = page.next;
  } while (next !== undefined);
}

async function listPage(client: S3Client, asked: PageRequest, { signal }: StoreOptions): Promise<S3Page> {
  const query = {
    'list-type': '2',
    prefix: asked.prefix,
    'encoding-type': 'url',
    ...(asked.next !== undefined && { 'continuation-token': asked.next }),
  };
  const response = await client.request({ method: 'GET', key: '', query, signal });
  if (response.status !== 200) throw s3Error(asked.location, response);
  return pageOf(response, asked.location);
}

function pageOf(response: HttpResponse, location: string): S3Page {
  const page = parsePage(response.body);
  if (page) return page;
  const text = response.body.toString('utf8');
  if (/<ListBucketResult[\s>]/.test(text) && !text.includes('</ListBucketResult>'))
    throw unavailable(location, 'its list of files is cut short');
  throw new AppError('failed', `The server of repository "${location}" gives no list that can be read`, {
    hint: 'Look at the address: it may lead to another kind of server, or through one that answers in its place.',
  });
}
