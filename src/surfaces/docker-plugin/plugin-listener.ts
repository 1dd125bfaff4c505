import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { knownError } from '../../lib/known-error.ts';
import type { RequestHandler } from '../serve/request-guard.ts';
import { peerProcess } from '../../lib/peer-process.ts';
import { readBody } from '../serve/serve-http.ts';
import { type AppError, isAppError } from '../../model/errors.ts';
import { errorLine } from '../error-line.ts';
import { pluginMethods, type PluginVolumes } from './answer-plugin.ts';
import { mediaType, parsePluginRequest, type PluginAnswer } from './protocol.ts';

export interface PluginListenerOptions {
  /** Opened while the socket is already served: earlier requests wait. */
  readonly volumes: Promise<PluginVolumes>;
  /** Of the driver: the protocol has no scope for single volumes. */
  readonly scope: 'local' | 'global';
  /** An engine sends this first after its start. */
  readonly onActivate: () => void;
  /** A request of dockerd proves that one runs; requests of other engines that use the plugin do not. */
  readonly onDockerd: () => void;
  /** Called for every request that failed. */
  readonly onFailure: (method: string, error: AppError) => void;
}

const bodyLimit = 1 << 20;
/** How long a failing lookup is retried before the engine gets no answer. */
const lookupPatienceMs = 10_000;
const lookAgainMs = 250;

/**
 * Serves the volume plugin protocol. Never asks the engine anything: it waits for these answers while it
 * starts.
 * A lookup that fails for any other reason than a missing volume gets no answer at all: the connection is
 * cut, and the engine takes the plugin for unreachable. An error would make it forget the volume, its labels
 * and options. The same goes for a lookup without a name: an engine that repeats a request may have lost its
 * body.
 */
export function pluginListener(options: PluginListenerOptions): RequestHandler {
  return (request, response) => respond(request, response, options);
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  { volumes, scope, onActivate, onDockerd, onFailure }: PluginListenerOptions,
): Promise<void> {
  const name = (request.url ?? '').split('?', 1)[0]?.replace(/^\/+/, '') ?? '';
  if (request.method !== 'POST') return send(response, 404, { Err: 'page not found' });
  if (isFromDockerd(request)) onDockerd();
  if (name === 'Plugin.Activate') {
    onActivate();
    return send(response, 200, { Implements: ['VolumeDriver'] });
  }
  if (name === 'VolumeDriver.Capabilities') return send(response, 200, { Capabilities: { Scope: scope } });
  const method = Object.hasOwn(pluginMethods, name) ? pluginMethods[name] : undefined;
  if (method === undefined) return send(response, 404, { Err: `there is no "${name}" in this protocol` });
  try {
    const pid = peerProcess(request.socket);
    const asked = parsePluginRequest(await readBody(request, bodyLimit));
    const signal = AbortSignal.timeout(method.timeoutMs);
    const answer = async (): Promise<PluginAnswer> => method.answer(await volumes, asked, { signal, pid });
    send(response, 200, method.isLookup === true ? await patiently(answer) : await answer());
  } catch (error) {
    const known = knownError(error, `Cannot do "${name}"`);
    if (known.code !== 'not-found') onFailure(name, known);
    if (method.isLookup === true && known.code !== 'not-found') response.destroy();
    else send(response, failureStatus(request), { Err: errorLine(known) });
  }
}

/**
 * Podman, like most clients, checks the status alone: a failure with 200 is a success to it. dockerd reads
 * `Err` with any status, never retries after one, and prefixes the method's name to the message of any status
 * but 200.
 */
function failureStatus(request: IncomingMessage): 200 | 500 {
  return isFromDockerd(request) ? 200 : 500;
}

/** It is known by the version that it asks for and by the lack of a Content-Type. */
function isFromDockerd({ headers }: IncomingMessage): boolean {
  return headers.accept === mediaType && headers['content-type'] === undefined;
}

/** Retries failures that may be temporary. */
async function patiently(answer: () => Promise<PluginAnswer>): Promise<PluginAnswer> {
  const until = Date.now() + lookupPatienceMs;
  for (;;) {
    try {
      return await answer();
    } catch (error) {
      const isFinal = isAppError(error, 'not-found') || isAppError(error, 'usage');
      if (isFinal || Date.now() >= until) throw error;
      await sleep(lookAgainMs);
    }
  }
}

function send(response: ServerResponse, status: number, answer: PluginAnswer): void {
  const body = Buffer.from(`${JSON.stringify(answer)}\n`);
  response.writeHead(status, { 'Content-Type': mediaType, 'Content-Length': body.length });
  response.end(body);
}
