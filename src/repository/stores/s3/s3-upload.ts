import { AppError } from '../../../model/errors.ts';
import type { StoreOptions } from '../store.ts';
import { ServerFault, unavailable } from '../store-errors.ts';
import { parseFault, parseUploads, s3Error, textOf } from './s3-answers.ts';
import type { S3Client } from './s3-client.ts';
import { contentMd5 } from './s3-object-lock.ts';

export interface UploadRequest {
  readonly key: string;
  readonly content: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  readonly partBytes: number;
  readonly location: string;
}

const partsAtOnce = 3;

/**
 * Stores a large object in parts. The object appears when all parts are stored; a failure removes the parts
 * sent so far.
 */
export async function uploadInParts(
  client: S3Client,
  asked: UploadRequest,
  options: StoreOptions,
): Promise<void> {
  const uploadId = await startUpload(client, asked, options);
  try {
    const tags = await sendParts(client, { ...asked, uploadId }, options);
    await completeUpload(client, { ...asked, uploadId, tags }, options);
  } catch (error) {
    const query = { uploadId };
    // The user must see the error that ended the upload; `removeOldUploads` removes any remaining part.
    await client.request({ method: 'DELETE', key: asked.key, query }).catch(() => undefined);
    throw error;
  }
}

const leftoverAgeMs = 24 * 60 * 60_000;

/** Removes the parts of unfinished uploads: they cost space and appear in no listing. */
export async function removeOldUploads(
  client: S3Client,
  root: string,
  { signal }: StoreOptions,
): Promise<void> {
  const query = { uploads: '', prefix: root, 'encoding-type': 'url' };
  const response = await client.request({ method: 'GET', key: '', query, signal });
  if (response.status !== 200) return;
  for (const { key, uploadId, initiated } of parseUploads(response.body)) {
    const isOld = Date.now() - Date.parse(initiated) > leftoverAgeMs;
    if (isOld && /^(config|(keys|locks|snapshots|index|data)\/)/.test(key.slice(root.length)))
      await client.request({ method: 'DELETE', key, query: { uploadId }, signal });
  }
}

async function startUpload(
  client: S3Client,
  asked: UploadRequest,
  { signal }: StoreOptions,
): Promise<string> {
  const { key, headers, location } = asked;
  const response = await client.request({ method: 'POST', key, query: { uploads: '' }, headers, signal });
  const uploadId = textOf(response.body.toString('utf8'), 'UploadId');
  if (response.status !== 200 || uploadId === undefined) throw s3Error(location, response);
  return uploadId;
}

async function sendParts(
  client: S3Client,
  { key, content, partBytes, location, uploadId }: UploadRequest & { readonly uploadId: string },
  { signal, pace }: StoreOptions,
): Promise<string[]> {
  const count = Math.ceil(content.length / partBytes);
  const tags: string[] = [];
  let failed = false;
  const numbers = Array.from({ length: count }, (_, index) => index).values();
  const sendNext = async (): Promise<void> => {
    for (const index of numbers) {
      if (failed) return;
      const body = content.subarray(index * partBytes, (index + 1) * partBytes);
      const query = { partNumber: String(index + 1), uploadId };
      const headers = { 'Content-MD5': contentMd5(body) };
      const response = await client.request({ method: 'PUT', key, query, headers, body, signal, pace });
      const tag = response.headers['etag'];
      if (response.status !== 200 || tag === undefined) throw s3Error(location, response);
      tags[index] = tag;
    }
  };
  const sending = Array.from({ length: Math.min(partsAtOnce, count) }, () =>
    sendNext().catch((error: unknown) => {
      failed = true;
      throw error;
    }),
  );
  // No request may be under way when the upload is aborted.
  await Promise.allSettled(sending);
  await Promise.all(sending);
  return tags;
}

async function completeUpload(
  client: S3Client,
  asked: UploadRequest & { readonly uploadId: string; readonly tags: readonly string[] },
  { signal }: StoreOptions,
): Promise<void> {
  const { key, location, uploadId, tags } = asked;
  const parts = tags.map(
    (tag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escapeXml(tag)}</ETag></Part>`,
  );
  const body = Buffer.from(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
  const response = await client.request({ method: 'POST', key, query: { uploadId }, body, signal });
  // A response with status 200 may still end in an error: the service sends blanks to keep the connection
  // alive while it works.
  const text = response.body.toString('utf8');
  // An answer may have been lost, and the request sent again: what is done is known no more. All of it may be sent again.
  if (response.status === 404 && parseFault(response.body, response.headers).code === 'NoSuchUpload')
    throw unavailable(location, 'it does not know the upload', new ServerFault('NoSuchUpload'));
  if (response.status !== 200) throw s3Error(location, response);
  if (text.includes('<Error>')) throw s3Error(location, { ...response, status: 500 });
  if (textOf(text, 'ETag') === undefined) {
    throw new AppError(
      'unavailable',
      `Repository "${location}" gave no answer that says that a file is stored`,
    );
  }
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
