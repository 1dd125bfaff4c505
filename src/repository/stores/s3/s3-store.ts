import { type AppError } from '../../../model/errors.ts';
import type { ObjectLock, S3Address } from '../address.ts';
import { answerTimes, type HttpResponse, loadedContent, rangeHeaders } from '../http/transport.ts';
import { filePath, isOwnRootName, nameAtPath } from '../layout.ts';
import { MadeMark } from '../made-mark.ts';
import {
  alreadyThere,
  anotherThere,
  fileLabel,
  missingFile,
  refuseForeign,
  throwIfAborted,
} from '../store-errors.ts';
import type {
  ByteRange,
  FileType,
  LoadOptions,
  Store,
  StoredFile,
  StoreOptions,
  StoreTimes,
} from '../store.ts';
import { parseFault, s3Error } from './s3-answers.ts';
import { S3Client } from './s3-client.ts';
import { listObjects, namesAtRoot } from './s3-list.ts';
import { contentMd5, isLockable, ObjectLocks } from './s3-object-lock.ts';
import { removeOldUploads, uploadInParts } from './s3-upload.ts';

/** A repository in a bucket of S3 or of a compatible store, in restic's default layout. */
export function openS3Store(address: S3Address): Store {
  return new S3Store(address);
}

class S3Store implements Store {
  readonly location: string;
  readonly #address: S3Address;
  readonly #client: S3Client;
  readonly #locks: ObjectLocks;
  readonly #made: MadeMark;

  constructor(address: S3Address) {
    this.location = address.text;
    this.#address = address;
    this.#client = new S3Client(address);
    this.#locks = new ObjectLocks(this.#client, { location: address.text, objectLock: address.objectLock });
    this.#made = new MadeMark(address.text, () => this.exists('config', ''));
  }

  async create(options: StoreOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    if (await this.exists('config', '', options)) throw alreadyThere(this.location);
    const names = await namesAtRoot(this.#client, this.#address, options);
    if (names === undefined) await this.#createBucket(this.#address.objectLock, options);
    else
      refuseForeign(
        this.location,
        names.filter((name) => !isOwnRootName(name)),
      );
    this.#made.set();
  }

  async save(type: FileType, name: string, content: Uint8Array, options: StoreOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    const key = this.#key(type, name);
    await this.#made.assert();
    const headers = this.#headersFor(type, options);
    const { partBytes } = this.#address;
    if (content.length > partBytes) {
      await uploadInParts(
        this.#client,
        { key, content, headers, partBytes, location: this.location },
        options,
      );
    } else {
      await this.#put(type, key, { name, content, headers, options });
    }
    if (isLockable(type)) await this.#locks.assertHonoured(key, options);
  }

  async load(type: FileType, name: string, range?: ByteRange, options: LoadOptions = {}): Promise<Buffer> {
    throwIfAborted(options.signal);
    const label = fileLabel(type, name);
    const key = this.#key(type, name);
    if (range?.length === 0) {
      // HTTP has no empty range.
      if (!(await this.exists(type, name, options))) throw missingFile(this.location, label);
      return Buffer.alloc(0);
    }
    const headers = rangeHeaders(range);
    const { signal, pace, room } = options;
    const response = await this.#client.request({ method: 'GET', key, headers, signal, pace, room });
    if (isMissing(response)) throw missingFile(this.location, label);
    const explain = (answer: HttpResponse): AppError => s3Error(this.location, answer);
    return loadedContent(response, { range, location: this.location, label, explain });
  }

  async list(type: FileType, options: StoreOptions = {}): Promise<StoredFile[]> {
    throwIfAborted(options.signal);
    if (type === 'config')
      return (await this.exists('config', '', options)) ? [{ name: '', sizeBytes: 0 }] : [];
    const root = this.#root();
    const found: StoredFile[] = [];
    for (const { key, sizeBytes, modifiedMs } of await listObjects(
      this.#client,
      { prefix: `${root}${type}/`, location: this.location, isSpread: type === 'data' },
      options,
    )) {
      const name = key.startsWith(root) ? nameAtPath(type, key.slice(root.length)) : undefined;
      if (name !== undefined) found.push({ name, sizeBytes, modifiedMs });
    }
    if (found.length === 0) await this.#made.assert();
    return found;
  }

  async exists(type: FileType, name: string, options: StoreOptions = {}): Promise<boolean> {
    throwIfAborted(options.signal);
    const { signal } = options;
    const response = await this.#client.request({ method: 'HEAD', key: this.#key(type, name), signal });
    if (response.status === 404) return false;
    if (response.status !== 200) throw s3Error(this.location, response);
    return true;
  }

  async times(type: FileType, name: string, options: StoreOptions = {}): Promise<StoreTimes> {
    throwIfAborted(options.signal);
    const { signal } = options;
    const response = await this.#client.request({ method: 'HEAD', key: this.#key(type, name), signal });
    if (response.status === 404) throw missingFile(this.location, fileLabel(type, name));
    if (response.status !== 200) throw s3Error(this.location, response);
    return answerTimes(response, this.location);
  }

  async remove(type: FileType, name: string, options: StoreOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    const key = this.#key(type, name);
    if (isLockable(type)) await this.#locks.assertRemovable(key, fileLabel(type, name), options);
    const { signal } = options;
    const response = await this.#client.request({ method: 'DELETE', key, signal });
    if (response.status >= 300 && !isMissing(response)) throw s3Error(this.location, response);
  }

  async removeLeftovers(options: StoreOptions = {}): Promise<void> {
    // Leftovers cost only space; the next backup tries again.
    await removeOldUploads(this.#client, this.#root(), options).catch(() => undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  async #put(type: FileType, key: string, { name, content, headers, options }: PutParts): Promise<void> {
    const { signal, pace } = options;
    const once = type === 'config' || (isLockable(type) && this.#locks.isWanted);
    const response = await this.#client.request({
      method: 'PUT',
      key,
      body: content,
      // A file's name is the hash of its content, so there is nothing to hash.
      bodyHash: type === 'config' ? undefined : name,
      headers: {
        ...headers,
        ...(once && { 'If-None-Match': '*' }),
        ...(this.#locks.isWanted && { 'Content-MD5': contentMd5(content) }),
      },
      signal,
      pace,
    });
    if (response.status < 300) return;
    if (once && response.status === 412) return await this.#acceptSame(type, name, content, options);
    throw s3Error(this.location, response);
  }

  /**
   * Accepts an existing file with the same content: the response may have been lost and the request repeated.
   */
  async #acceptSame(type: FileType, name: string, content: Uint8Array, options: StoreOptions): Promise<void> {
    const there = await this.load(type, name, undefined, { signal: options.signal });
    if (there.equals(content)) return;
    throw anotherThere(this.location, fileLabel(type, name));
  }

  #headersFor(type: FileType, { holds }: StoreOptions): Record<string, string> {
    const { storageClass } = this.#address;
    const suits =
      storageClass !== undefined && (!isArchive(storageClass) || (type === 'data' && holds !== 'trees'));
    return {
      'Content-Type': 'application/octet-stream',
      ...(suits && { 'X-Amz-Storage-Class': storageClass }),
      ...(isLockable(type) && this.#locks.headers()),
    };
  }

  async #createBucket(objectLock: ObjectLock | undefined, { signal }: StoreOptions): Promise<void> {
    const { region, endpoint } = this.#address;
    // Amazon's first region is not named in a location constraint.
    const body =
      endpoint === undefined && region !== 'us-east-1'
        ? Buffer.from(
            `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>${region}</LocationConstraint></CreateBucketConfiguration>`,
          )
        : undefined;
    const headers = objectLock && { 'X-Amz-Bucket-Object-Lock-Enabled': 'true' };
    const response = await this.#client.request({
      method: 'PUT',
      key: '',
      body,
      signal,
      ...(headers && { headers }),
    });
    if (response.status < 300) return;
    const { code } = parseFault(response.body, response.headers);
    if (code === 'BucketAlreadyOwnedByYou') return;
    throw s3Error(this.location, response);
  }

  #root(): string {
    return this.#address.prefix === '' ? '' : `${this.#address.prefix}/`;
  }

  #key(type: FileType, name: string): string {
    return this.#root() + filePath(type, name);
  }
}

interface PutParts {
  readonly name: string;
  readonly content: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  readonly options: StoreOptions;
}

function isMissing(response: HttpResponse): boolean {
  if (response.status !== 404) return false;
  const { code } = parseFault(response.body, response.headers);
  return code !== 'NoSuchBucket';
}

/** Storage classes without immediate reads; files that every command needs are never stored in them. */
function isArchive(storageClass: string): boolean {
  return storageClass === 'GLACIER' || storageClass === 'DEEP_ARCHIVE';
}
