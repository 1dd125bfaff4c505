import { hash } from 'node:crypto';
import { AppError } from '../../../model/errors.ts';
import type { ObjectLock } from '../address.ts';
import type { FileType, StoreOptions } from '../store.ts';
import { s3Error, textOf } from './s3-answers.ts';
import type { S3Client } from './s3-client.ts';

export interface ObjectLockRequest {
  readonly location: string;
  /** Undefined sets no retention; existing retention is respected. */
  readonly objectLock: ObjectLock | undefined;
}

/** A repository's own locks must be removable; all other files may be retained. */
export function isLockable(type: FileType): boolean {
  return type !== 'locks';
}

export function contentMd5(content: Uint8Array): string {
  return hash('md5', content, 'base64');
}

const dayMs = 24 * 60 * 60_000;

/** Sets retention on written objects, verifies that it holds, and refuses to remove retained objects. */
export class ObjectLocks {
  readonly #client: S3Client;
  readonly #asked: ObjectLockRequest;
  #isHonoured = false;
  #isOnBucket: boolean | undefined;

  constructor(client: S3Client, asked: ObjectLockRequest) {
    this.#client = client;
    this.#asked = asked;
  }

  get isWanted(): boolean {
    return this.#asked.objectLock !== undefined;
  }

  headers(): Record<string, string> {
    const { objectLock } = this.#asked;
    if (objectLock === undefined) return {};
    return {
      'X-Amz-Object-Lock-Mode': objectLock.mode,
      'X-Amz-Object-Lock-Retain-Until-Date': new Date(Date.now() + objectLock.days * dayMs).toISOString(),
    };
  }

  /** A service without retention may accept the request and ignore it, so the first file is checked. */
  async assertHonoured(key: string, options: StoreOptions): Promise<void> {
    if (!this.isWanted || this.#isHonoured) return;
    const until = await this.#retention(key, options);
    if (until === undefined) {
      throw new AppError(
        'unsupported',
        `The bucket of repository "${this.#asked.location}" keeps no retention`,
        {
          detail: 'A file was stored with object lock, and the service says nothing of it.',
          hint: 'Make a bucket with object lock enabled, or take the option "object-lock" off.',
        },
      );
    }
    this.#isHonoured = true;
  }

  /**
   * Throws `denied` for an object whose retention has not ended. The service itself would only hide it behind
   * a delete marker, and keep charging for it.
   */
  async assertRemovable(key: string, label: string, options: StoreOptions): Promise<void> {
    this.#isOnBucket ??= this.isWanted || (await this.#bucketHasLock(options));
    if (!this.#isOnBucket) return;
    const until = await this.#retention(key, options);
    if (until === undefined || until <= Date.now()) return;
    const date = new Date(until).toISOString();
    throw new AppError(
      'denied',
      `Cannot remove "${label}" from repository "${this.#asked.location}": it is locked`,
      {
        detail: `Its retention (object lock) ends on ${date}.`,
        hint: 'It can be removed after that date.',
      },
    );
  }

  /**
   * The end of an object's retention, in milliseconds since 1970; undefined when it has none or does not
   * exist.
   */
  async #retention(key: string, { signal }: StoreOptions): Promise<number | undefined> {
    const response = await this.#client.request({ method: 'HEAD', key, signal });
    if (response.status === 404) return undefined;
    if (response.status !== 200) throw s3Error(this.#asked.location, response);
    if (response.headers['x-amz-object-lock-legal-hold'] === 'ON') return Number.MAX_SAFE_INTEGER;
    const until = Date.parse(response.headers['x-amz-object-lock-retain-until-date'] ?? '');
    return Number.isNaN(until) ? undefined : until;
  }

  /** Services without object lock, and keys without the permission to ask, refuse in other ways. */
  async #bucketHasLock({ signal }: StoreOptions): Promise<boolean> {
    const response = await this.#client.request({
      method: 'GET',
      key: '',
      query: { 'object-lock': '' },
      signal,
    });
    if (response.status !== 200) return false;
    return textOf(response.body.toString('utf8'), 'ObjectLockEnabled') === 'Enabled';
  }
}
