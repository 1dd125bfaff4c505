import {
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request as httpRequest,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { AppError } from '../../model/errors.ts';
import type { DockerEndpoint } from './endpoint.ts';
import { chooseVersion, type EngineConnection, openEngineConnection } from './engine-connection.ts';
import { startDeadline, type TimedCall } from './call-deadline.ts';
import { connectionError, refusalError } from './engine-error.ts';

export interface EngineCall extends TimedCall {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** Below the version, starting with `/`. */
  readonly path: string;
  readonly json?: unknown;
  readonly headers?: OutgoingHttpHeaders;
}

export interface EngineClientOptions {
  readonly connectTimeoutMs?: number | undefined;
}

export interface EnginePing {
  /** The API version: `1.45`. */
  readonly version: string;
  readonly isPodman: boolean;
}

const answerLimit = 256 << 20;

/** Docker Engine's API over any kind of connection. Every failure is an AppError. */
export class EngineClient implements AsyncDisposable {
  readonly endpoint: DockerEndpoint;
  readonly #connection: EngineConnection;
  readonly #connectTimeoutMs: number;
  #version: Promise<string> | undefined;
  /** The version from a ping, which is not repeated. */
  #offered: string | undefined;

  constructor(endpoint: DockerEndpoint, options: EngineClientOptions = {}) {
    this.endpoint = endpoint;
    this.#connection = openEngineConnection(endpoint);
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 10_000;
  }

  /** Sends a request and parses the JSON of the response; undefined when it is empty. */
  async json<T>(call: EngineCall): Promise<T> {
    using deadline = startDeadline(call);
    const response = await this.#request(call, deadline.signal);
    const text = await this.#readText(call, response, deadline.signal);
    if (text === '') return undefined as T;
    return this.#parse<T>(call, text);
  }

  #parse<T>(call: EngineCall, text: string): T {
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw new AppError('unavailable', `${call.action}: the engine's answer is not JSON`, {
        hint: `Is "${this.endpoint.address}" a Docker engine?`,
        cause: error,
      });
    }
  }

  /** The same for a response of several JSON texts. */
  async jsonLines<T>(call: EngineCall): Promise<readonly T[]> {
    using deadline = startDeadline(call);
    const response = await this.#request(call, deadline.signal);
    const lines = (await this.#readText(call, response, deadline.signal))
      .split('\n')
      .filter((line) => line.trim() !== '');
    return lines.map((line) => this.#parse<T>(call, line));
  }

  /**
   * Sends a request and returns the response when its head has arrived. The deadline is for the head; the
   * caller watches the body.
   */
  async stream(call: EngineCall): Promise<IncomingMessage> {
    const deadline = startDeadline(call);
    try {
      const response = await this.#request(call, deadline.signal);
      deadline.stopClock();
      response.once('close', () => deadline[Symbol.dispose]());
      return response;
    } catch (error) {
      deadline[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Opens a request whose body the caller writes. `answer` resolves to the engine's response, which may come
   * early.
   */
  async send(call: EngineCall): Promise<{ request: ClientRequest; answer: Promise<IncomingMessage> }> {
    const version = await this.#negotiate(call);
    const request = this.#createRequest(call, `/v${version}${call.path}`, call.signal);
    const answer = this.#answerOf(call, request, call.signal).then(async (response) => {
      if ((response.statusCode ?? 0) < 400) return response;
      throw refusalError(call.action, refusalOf(response, await this.#readText(call, response, call.signal)));
    });
    return { request, answer };
  }

  /**
   * Sends a request after which the caller owns the connection: bytes both ways. The deadline is for the
   * response only.
   */
  async upgrade(call: EngineCall): Promise<Duplex> {
    using deadline = startDeadline(call);
    const version = await this.#negotiate(call);
    const headers = { ...call.headers, Connection: 'Upgrade', Upgrade: 'tcp' };
    const request = this.#createRequest({ ...call, headers }, `/v${version}${call.path}`, deadline.signal);
    const upgraded = Promise.withResolvers<Duplex>();
    request.once('upgrade', (_response, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      upgraded.resolve(socket);
    });
    const refused = this.#answerOf(call, request, deadline.signal).then(async (response): Promise<never> => {
      const text = await this.#readText(call, response, deadline.signal);
      if ((response.statusCode ?? 0) >= 400) throw refusalError(call.action, refusalOf(response, text));
      throw new AppError('unsupported', `${call.action}: the engine does not hand the connection over`, {
        hint: 'A proxy between here and the engine must let connections be upgraded.',
      });
    });
    request.end(call.json === undefined ? undefined : JSON.stringify(call.json));
    return await Promise.race([upgraded.promise, refused]);
  }

  /** Asks whether an engine responds, its API version, and whether it is Docker or Podman. */
  async ping(
    options: { readonly signal?: AbortSignal | undefined; readonly deadlineMs?: number } = {},
  ): Promise<EnginePing> {
    const call: EngineCall = {
      method: 'GET',
      path: '/_ping',
      action: `Cannot reach Docker at "${this.endpoint.address}"`,
      ...options,
    };
    using deadline = startDeadline(call);
    const response = await this.#open(call, call.path, deadline.signal);
    const text = await this.#readText(call, response, deadline.signal);
    if ((response.statusCode ?? 0) >= 400) {
      throw refusalError(`Cannot use Docker at "${this.endpoint.address}"`, refusalOf(response, text));
    }
    const version = response.headers['api-version'];
    if (typeof version !== 'string' || !/^\d+\.\d+$/.test(version)) {
      throw new AppError('unavailable', `What answers at "${this.endpoint.address}" is not a Docker engine`, {
        hint: 'Look at DOCKER_HOST and the active Docker context.',
      });
    }
    this.#offered = version;
    // Podman sends this header with every response, also at Docker's socket.
    const isPodman = response.headers['libpod-api-version'] !== undefined;
    return { version, isPodman };
  }

  /** The error for a stream that broke while `call` used it. */
  failure(call: EngineCall, error: unknown = connectionCut()): AppError {
    return this.#callFailure(call, call.signal, error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.agent.destroy();
  }

  async #negotiate(call: EngineCall): Promise<string> {
    if (call.signal?.aborted === true) throw cancelled(call);
    // One ping for all calls; a failed one is repeated. It takes no signal, as other callers may wait for it
    // too.
    const deadlineMs = this.endpoint.kind === 'ssh' ? 2 * this.#connectTimeoutMs : this.#connectTimeoutMs;
    this.#version ??= this.#offeredWithin(deadlineMs).then(
      (version) => chooseVersion(version, this.endpoint.address),
      (error: unknown) => {
        this.#version = undefined;
        throw error;
      },
    );
    return await this.#version;
  }

  async #offeredWithin(deadlineMs: number): Promise<string> {
    return this.#offered ?? (await this.ping({ deadlineMs })).version;
  }

  async #request(call: EngineCall, signal: AbortSignal): Promise<IncomingMessage> {
    const version = await this.#negotiate(call);
    const response = await this.#open(call, `/v${version}${call.path}`, signal);
    if ((response.statusCode ?? 0) < 400) return response;
    throw refusalError(call.action, refusalOf(response, await this.#readText(call, response, signal)));
  }

  async #open(call: EngineCall, path: string, signal: AbortSignal): Promise<IncomingMessage> {
    for (let attempt = 0; ; attempt += 1) {
      const request = this.#createRequest(call, path, signal);
      request.end(call.json === undefined ? undefined : JSON.stringify(call.json));
      try {
        return await this.#answerOf(call, request, signal);
      } catch (error) {
        // The engine closed an idle connection at the moment when we took it: nothing was done, so try again.
        const code = error instanceof AppError ? causeCode(error) : undefined;
        const isStale = request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE');
        if (!isStale || attempt > 2 || (call.method !== 'GET' && call.method !== 'HEAD')) throw error;
      }
    }
  }

  #createRequest(call: EngineCall, path: string, signal: AbortSignal | undefined): ClientRequest {
    const { agent, protocol, address, basePath, hostHeader } = this.#connection;
    const headers: OutgoingHttpHeaders = { ...call.headers };
    if (hostHeader !== undefined) headers['Host'] = hostHeader;
    if (call.json !== undefined) headers['Content-Type'] = 'application/json';
    const request = httpRequest({
      ...address,
      agent,
      protocol,
      method: call.method,
      path: basePath + path,
      headers,
      ...(signal === undefined ? {} : { signal }),
    });
    this.#watchConnect(request);
    return request;
  }

  #watchConnect(request: ClientRequest): void {
    request.once('socket', (socket) => {
      if (request.reusedSocket || !socket.connecting) return;
      const timer = setTimeout(() => {
        request.destroy(
          Object.assign(new Error(`no connection within ${this.#connectTimeoutMs} ms`), {
            code: 'ETIMEDOUT',
          }),
        );
      }, this.#connectTimeoutMs);
      const stop = (): void => clearTimeout(timer);
      socket.once(this.#connection.protocol === 'https:' ? 'secureConnect' : 'connect', stop);
      request.once('close', stop);
    });
  }

  #answerOf(
    call: EngineCall,
    request: ClientRequest,
    signal: AbortSignal | undefined,
  ): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    request.once('response', resolve);
    // `on`, not `once`: a request can fail again after it has failed, and must keep a listener.
    request.on('error', (error) => reject(this.#callFailure(call, signal, error)));
    request.once('close', () => reject(this.#callFailure(call, signal, connectionCut())));
    return promise;
  }

  #callFailure(call: EngineCall, signal: AbortSignal | undefined, error: unknown): AppError {
    if (call.signal?.aborted === true) return cancelled(call);
    if (signal?.aborted === true && signal.reason instanceof AppError) return signal.reason;
    return connectionError(this.endpoint, error);
  }

  async #readText(
    call: EngineCall,
    response: IncomingMessage,
    signal: AbortSignal | undefined,
  ): Promise<string> {
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        length += chunk.length;
        if (length > answerLimit)
          throw new AppError('failed', `${call.action}: the engine's answer is too long`);
        chunks.push(chunk);
      }
    } catch (error) {
      throw this.#callFailure(call, signal, error);
    }
    return Buffer.concat(chunks).toString('utf8');
  }
}

function refusalOf(response: IncomingMessage, text: string): { status: number; message: string } {
  const status = response.statusCode ?? 0;
  try {
    const body = JSON.parse(text) as { message?: unknown };
    if (typeof body.message === 'string') return { status, message: body.message };
  } catch {
    // Proxies and TLS ports respond in plain text.
  }
  return { status, message: text.trim().slice(0, 500) };
}

function cancelled(call: EngineCall): AppError {
  return new AppError('cancelled', `${call.action}: cancelled`, { cause: call.signal?.reason });
}

function connectionCut(): Error {
  return Object.assign(new Error('the connection was closed'), { code: 'ECONNRESET' });
}

function causeCode(error: AppError): unknown {
  return error.cause instanceof Error && 'code' in error.cause ? error.cause.code : undefined;
}
