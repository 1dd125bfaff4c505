import http from 'node:http';
import https from 'node:https';
import tls from 'node:tls';
import { errnoOf } from '../../../model/errors.ts';
import type { ProxySettings, TlsSettings } from '../address.ts';
import { cancelled } from '../store-errors.ts';
import {
  connectionError,
  type HttpRequest,
  type HttpResponse,
  type HttpTransport,
  isUnknownAuthority,
} from './transport.ts';
import { declaredBytes, readBody, writeBody } from './bodies.ts';

export interface HttpConnectionsOptions {
  /** `https://host:port`. */
  readonly origin: string;
  /** For messages. */
  readonly location: string;
  readonly tls: TlsSettings;
  readonly proxy: ProxySettings | undefined;
  readonly stallMs: number;
}

const keptSockets = 16;

/** Sends requests over persistent connections. */
export class HttpConnections implements HttpTransport {
  readonly #options: HttpConnectionsOptions;
  readonly #origin: URL;
  #agent: http.Agent | undefined;
  #trustsSystem = false;

  constructor(options: HttpConnectionsOptions) {
    this.#options = options;
    this.#origin = new URL(options.origin);
  }

  async request(request: HttpRequest): Promise<HttpResponse> {
    if (request.signal?.aborted) throw cancelled();
    try {
      return await this.#send(request);
    } catch (error) {
      if (request.signal?.aborted) throw cancelled(error);
      if (!(error instanceof KeptConnectionEnded) && !this.#trustMore(error))
        throw connectionError(this.#options.location, error);
    }
    return await this.request(request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent?.destroy();
    this.#agent = undefined;
  }

  async #send(request: HttpRequest): Promise<HttpResponse> {
    const sent = this.#start(request);
    try {
      return await this.#answerTo(sent, request);
    } catch (error) {
      sent.destroy();
      throw error;
    }
  }

  /**
   * Adds the machine's certificate authorities to those of Node.js. They are loaded only when needed, since
   * that takes longer than connecting. True when there are more than before.
   */
  #trustMore(error: unknown): boolean {
    if (!isUnknownAuthority(error) || this.#options.tls.ca !== undefined || this.#trustsSystem) return false;
    this.#trustsSystem = true;
    this.#agent?.destroy();
    this.#agent = undefined;
    return true;
  }

  #start({ method, path, headers, body, signal }: HttpRequest): http.ClientRequest {
    const secure = this.#origin.protocol === 'https:';
    this.#agent ??= this.#openAgent(secure);
    const { hostname, port } = this.#origin;
    return (secure ? https : http).request({
      agent: this.#agent,
      // Only a URL has an IPv6 address in brackets.
      hostname: hostname.replace(/^\[(.*)\]$/, '$1'),
      port,
      method,
      path,
      headers: { ...headers, ...(body !== undefined && { 'Content-Length': String(body.length) }) },
      ...(signal && { signal }),
    });
  }

  #openAgent(secure: boolean): http.Agent {
    const { proxy } = this.#options;
    const common = {
      keepAlive: true,
      maxFreeSockets: keptSockets,
      ...(proxy && { proxyEnv: { ...proxy } }),
    };
    return secure
      ? new https.Agent({ ...common, secureContext: this.#openSecureContext() })
      : new http.Agent(common);
  }

  #openSecureContext(): tls.SecureContext {
    const { ca, clientCertificate } = this.#options.tls;
    const system = this.#trustsSystem
      ? [...tls.getCACertificates('default'), ...tls.getCACertificates('system')]
      : undefined;
    return tls.createSecureContext({
      ...((ca ?? system) && { ca: ca ?? system }),
      ...(clientCertificate !== undefined && { cert: clientCertificate, key: clientCertificate }),
    });
  }

  #answerTo(sent: http.ClientRequest, request: HttpRequest): Promise<HttpResponse> {
    const { stallMs } = this.#options;
    return new Promise((resolve, reject) => {
      sent.setTimeout(stallMs, () =>
        sent.destroy(new Error(`it has not said a word for ${stallMs / 1000} s`)),
      );
      let hasBegun = false;
      sent.on('error', (error) =>
        reject(!hasBegun && isEndOfKept(sent, error) ? new KeptConnectionEnded() : error),
      );
      sent.on('response', (response) => {
        hasBegun = true;
        readAnswer(response, request).then(resolve, reject);
      });
      writeBody(sent, request.body, request).catch(reject);
    });
  }
}

/**
 * A persistent connection was closed before the response began. Every request to a store may be sent twice.
 */
class KeptConnectionEnded extends Error {}

function isEndOfKept({ reusedSocket }: http.ClientRequest, error: Error): boolean {
  return reusedSocket && ['ECONNRESET', 'EPIPE'].includes(errnoOf(error) ?? '');
}

async function readAnswer(response: http.IncomingMessage, request: HttpRequest): Promise<HttpResponse> {
  const status = response.statusCode ?? 0;
  const headers = plainHeaders(response.headers);
  const length = declaredBytes(request.method, status, headers['content-length']);
  const isGood = status >= 200 && status < 300;
  const { pace, signal, room } = request;
  // The pace is for data; a request with a body was paced already.
  const reading = request.body === undefined && isGood ? { pace, signal, room } : { signal };
  return { status, headers, body: await readBody(response, length, reading) };
}

function plainHeaders(headers: http.IncomingHttpHeaders): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
}
