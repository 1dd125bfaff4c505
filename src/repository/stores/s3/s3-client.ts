import { hash } from 'node:crypto';
import aws4 from 'aws4';
import type { S3Address } from '../address.ts';
import { HttpConnections } from '../http/http-connections.ts';
import type { HttpRequest, HttpResponse } from '../http/transport.ts';
import { parseFault } from './s3-answers.ts';
import { bucketEndpoint, encodeKey, encodeQuery } from './s3-endpoint.ts';

export interface S3Request extends Pick<HttpRequest, 'method' | 'body' | 'signal' | 'pace' | 'room'> {
  /** The object's key in the bucket; '' for the bucket itself. */
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** SHA-256 of the body in hex, if already known. */
  readonly bodyHash?: string | undefined;
}

const emptyHash = hash('sha256', '');
const defaultStallMs = 120_000;

/** Sends signed requests to one bucket. Any response is returned; without one it throws. */
export class S3Client implements AsyncDisposable {
  readonly #address: S3Address;
  #region: string;
  #connections: HttpConnections | undefined;
  /** How far the server's clock is ahead of ours. */
  #clockOffsetMs = 0;

  constructor(address: S3Address) {
    this.#address = address;
    this.#region = address.region;
  }

  /**
   * The signature covers the body's hash, so a server that checks it stores nothing that was altered in
   * transit.
   */
  async request(request: S3Request): Promise<HttpResponse> {
    const response = await this.#send(request);
    if (response.status < 300 || !this.#adjustTo(response)) return response;
    return await this.#send(request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections?.[Symbol.asyncDispose]();
    this.#connections = undefined;
  }

  async #send(request: S3Request): Promise<HttpResponse> {
    const endpoint = bucketEndpoint(this.#address, this.#region);
    const { text, tls, proxy, stallMs, credentials } = this.#address;
    this.#connections ??= new HttpConnections({
      origin: endpoint.origin,
      location: text,
      tls,
      proxy,
      stallMs: stallMs ?? defaultStallMs,
    });
    const { method, body, signal, pace, room } = request;
    const query = request.query ? `?${encodeQuery(request.query)}` : '';
    const signed = aws4.sign(
      {
        service: 's3',
        region: this.#region,
        method,
        host: endpoint.host,
        path: `${endpoint.root}${encodeKey(request.key)}${query}`,
        headers: {
          ...request.headers,
          'X-Amz-Date': amzDate(Date.now() + this.#clockOffsetMs),
          'X-Amz-Content-Sha256': request.bodyHash ?? (body ? hash('sha256', body) : emptyHash),
        },
      },
      credentials,
    );
    return await this.#connections.request({
      method,
      path: signed.path,
      headers: signed.headers,
      body: body ?? (method === 'PUT' || method === 'POST' ? new Uint8Array() : undefined),
      signal,
      pace,
      room,
    });
  }

  /**
   * Learns the bucket's region and the server's time from a response; true when the request is worth
   * repeating.
   */
  #adjustTo(response: HttpResponse): boolean {
    const { code, region } = parseFault(response.body, response.headers);
    if (this.#clockOffsetMs === 0 && isSkewed(response, code)) {
      this.#clockOffsetMs = aheadMs(response);
      return true;
    }
    const isElsewhere = [301, 307, 400, 403].includes(response.status) && region !== undefined;
    if (!isElsewhere || region === this.#region || !/^[a-z0-9-]{1,40}$/.test(region)) return false;
    this.#region = region;
    // Another region may have another host.
    const old = this.#connections;
    this.#connections = undefined;
    // The old connections are abandoned, so a failure to close them does not matter.
    old?.[Symbol.asyncDispose]().catch(() => undefined);
    return true;
  }
}

/**
 * Servers refuse signatures that are a quarter of an hour off. The first request is a HEAD, whose response
 * has no body to say so.
 */
const skewMs = 5 * 60_000;

function isSkewed(response: HttpResponse, code: string): boolean {
  if (code === 'RequestTimeTooSkewed') return aheadMs(response) !== 0;
  return code === '' && response.status === 403 && Math.abs(aheadMs(response)) > skewMs;
}

/** How far the server's clock is ahead of ours; 0 when the response does not say. */
function aheadMs({ headers }: HttpResponse): number {
  const serverMs = Date.parse(headers['date'] ?? '');
  return Number.isNaN(serverMs) ? 0 : serverMs - Date.now();
}

/** `20260131T235959Z` */
function amzDate(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/[:-]|\.\d{3}/g, '');
}
