import { AppError } from '../../../model/errors.ts';
import type { RestAddress } from '../address.ts';
import {
  answerTimes,
  type HttpRequest,
  type HttpResponse,
  type HttpTransport,
  loadedContent,
  rangeHeaders,
} from '../http/transport.ts';
import { HttpConnections } from '../http/http-connections.ts';
import { filePath } from '../layout.ts';
import { MadeMark } from '../made-mark.ts';
import {
  alreadyThere,
  anotherThere,
  fileLabel,
  missingFile,
  throwIfAborted,
  unavailable,
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
import { parseList, restError } from './rest-answers.ts';

const defaultStallMs = 120_000;

/** A repository behind a server that speaks restic's REST protocol. */
export function openRestStore(address: RestAddress): Store {
  const { text, url, user, password, tls, proxy, stallMs = defaultStallMs } = address;
  const { origin, pathname } = new URL(url);
  const transport = new HttpConnections({ origin, location: text, tls, proxy, stallMs });
  const login = user === undefined ? undefined : `${user}:${password ?? ''}`;
  const headers: Record<string, string> =
    login === undefined ? {} : { Authorization: `Basic ${Buffer.from(login).toString('base64')}` };
  return new RestStore(transport, { location: text, root: pathname, headers });
}

export interface RestStoreOptions {
  readonly location: string;
  /** The repository's path, with a trailing slash. */
  readonly root: string;
  readonly headers: Readonly<Record<string, string>>;
}

const listType = 'application/vnd.x.restic.rest.v2';

/** The protocol itself, over any transport. */
export class RestStore implements Store {
  readonly location: string;
  readonly #transport: HttpTransport;
  readonly #options: RestStoreOptions;
  readonly #made: MadeMark;

  constructor(transport: HttpTransport, options: RestStoreOptions) {
    this.location = options.location;
    this.#transport = transport;
    this.#options = options;
    this.#made = new MadeMark(options.location, () => this.exists('config', ''));
  }

  async create(options: StoreOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    if (await this.exists('config', '', options)) throw alreadyThere(this.location);
    const { signal } = options;
    const response = await this.#send({
      method: 'POST',
      path: '?create=true',
      body: new Uint8Array(),
      signal,
    });
    if (response.status >= 300) throw restError(this.location, response);
    this.#made.set();
  }

  async save(type: FileType, name: string, content: Uint8Array, options: StoreOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    const path = this.#path(type, name);
    await this.#made.assert();
    // Some servers, such as rclone, would overwrite it.
    if (type === 'config' && (await this.exists(type, name, options)))
      return await this.#acceptSame(type, name, content, options);
    const { signal, pace } = options;
    const headers = { 'Content-Type': 'application/octet-stream' };
    const response = await this.#send({ method: 'POST', path, body: content, headers, signal, pace });
    if (response.status < 300) return;
    // Servers refuse to overwrite a file; an existing file is fine when it has the same content.
    if (response.status === 403 && (await this.exists(type, name, options)))
      return await this.#acceptSame(type, name, content, options);
    throw restError(this.location, response);
  }

  async load(type: FileType, name: string, range?: ByteRange, options: LoadOptions = {}): Promise<Buffer> {
    throwIfAborted(options.signal);
    const label = fileLabel(type, name);
    const path = this.#path(type, name);
    if (range?.length === 0) {
      // HTTP has no empty range.
      if (!(await this.exists(type, name, options))) throw missingFile(this.location, label);
      return Buffer.alloc(0);
    }
    const headers = rangeHeaders(range);
    const { signal, pace, room } = options;
    const response = await this.#send({ method: 'GET', path, headers, signal, pace, room });
    if (response.status === 404) throw missingFile(this.location, label);
    const explain = (answer: HttpResponse): AppError => restError(this.location, answer);
    return loadedContent(response, { range, location: this.location, label, explain });
  }

  async list(type: FileType, options: StoreOptions = {}): Promise<StoredFile[]> {
    throwIfAborted(options.signal);
    if (type === 'config')
      return (await this.exists('config', '', options)) ? [{ name: '', sizeBytes: 0 }] : [];
    const { signal } = options;
    const response = await this.#send({
      method: 'GET',
      path: `${type}/`,
      headers: { Accept: listType },
      signal,
    });
    if (response.status !== 200 && response.status !== 404) throw restError(this.location, response);
    // Without a length, an empty body may be a list that was cut off.
    if (response.status === 200 && response.body.length === 0 && response.headers['content-length'] !== '0')
      throw unavailable(this.location, 'its list of files is cut short');
    const list = response.status === 404 ? undefined : parseList(this.location, response.body);
    if (list?.version === 1) return await this.#withSizes(type, list.names, options);
    if (list === undefined || list.files.length === 0) await this.#made.assert();
    return list?.files ?? [];
  }

  async exists(type: FileType, name: string, options: StoreOptions = {}): Promise<boolean> {
    return (await this.#sizeOf(type, name, options)) !== undefined;
  }

  async times(type: FileType, name: string, options: StoreOptions = {}): Promise<StoreTimes> {
    throwIfAborted(options.signal);
    const { signal } = options;
    const response = await this.#send({ method: 'HEAD', path: this.#path(type, name), signal });
    if (response.status === 404) throw missingFile(this.location, fileLabel(type, name));
    if (response.status !== 200) throw restError(this.location, response);
    return answerTimes(response, this.location);
  }

  async remove(type: FileType, name: string, options: StoreOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    const path = this.#path(type, name);
    const { signal } = options;
    const response = await this.#send({ method: 'DELETE', path, signal });
    if (response.status < 300 || response.status === 404) return;
    if (response.status !== 403) throw restError(this.location, response);
    if (!(await this.exists(type, name, options))) return;
    throw new AppError(
      'denied',
      `Cannot remove "${fileLabel(type, name)}" from repository "${this.location}": the server keeps it`,
      {
        detail: 'It is append-only: what is stored there can be read and added to.',
        hint: 'Run this on the server itself, or through one that is not append-only.',
      },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]();
  }

  async #sizeOf(type: FileType, name: string, { signal }: StoreOptions): Promise<number | undefined> {
    throwIfAborted(signal);
    const response = await this.#send({ method: 'HEAD', path: this.#path(type, name), signal });
    if (response.status === 404) return undefined;
    if (response.status !== 200) throw restError(this.location, response);
    return Number(response.headers['content-length'] ?? 0);
  }

  async #withSizes(type: FileType, names: readonly string[], options: StoreOptions): Promise<StoredFile[]> {
    const files: StoredFile[] = [];
    for (const name of names) {
      const sizeBytes = await this.#sizeOf(type, name, options);
      // Otherwise another process removed it after the listing.
      if (sizeBytes !== undefined) files.push({ name, sizeBytes });
    }
    return files;
  }

  async #acceptSame(type: FileType, name: string, content: Uint8Array, options: StoreOptions): Promise<void> {
    const there = await this.load(type, name, undefined, { signal: options.signal });
    if (there.equals(content)) return;
    throw anotherThere(this.location, fileLabel(type, name));
  }

  async #send(request: HttpRequest): Promise<HttpResponse> {
    const { root, headers } = this.#options;
    return await this.#transport.request({
      ...request,
      path: root + request.path,
      headers: { ...headers, ...request.headers },
    });
  }

  /** The server spreads the files of `data` over subfolders by itself. */
  #path(type: FileType, name: string): string {
    const path = filePath(type, name);
    return type === 'data' ? `data/${name}` : path;
  }
}
