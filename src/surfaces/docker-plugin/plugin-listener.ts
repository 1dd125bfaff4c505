import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { knownError } from '../../lib/known-error.ts';
import { readBody } from '../../lib/serve-http.ts';
import { type AppError, isAppError } from '../../model/errors.ts';
import { pluginMethods, type PluginVolumes } from './answer-plugin.ts';
import { mediaType, parsePluginRequest, type PluginAnswer } from './protocol.ts';

export interface PluginListenerOptions {
  /** Opened while the socket is served already: who asks before waits. */
  readonly volumes: Promise<PluginVolumes>;
  /** Told of every request that failed. */
  readonly onFailure: (method: string, error: AppError) => void;
}

const bodyLimit = 1 << 20;

/**
 * Speaks the volume plugin protocol. Never asks the engine anything: it waits for our answers while it starts.
 *
 * A lookup that fails for any other reason than that there is no such volume gets no answer at all: the connection is
 * cut, and the engine asks again. An error would make it forget the volume, its labels and options.
 */
export function pluginListener({ volumes, onFailure }: PluginListenerOptions): RequestListener {
  return (request, response) => {
    void respond(request, response, { volumes, onFailure });
  };
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  { volumes, onFailure }: PluginListenerOptions,
): Promise<void> {
  const name = (request.url ?? '').split('?', 1)[0]?.replace(/^\/+/, '') ?? '';
  try {
    const body = await readBody(request, bodyLimit);
    if (request.method !== 'POST') return send(response, 404, { Err: 'page not found' });
    const constant = constants[name];
    if (constant !== undefined) return send(response, 200, constant);
    const method = pluginMethods[name];
    if (method === undefined) return send(response, 404, { Err: `there is no "${name}" in this protocol` });
    try {
      const signal = AbortSignal.timeout(method.timeoutMs);
      send(response, 200, await method.answer(await volumes, parsePluginRequest(body), signal));
    } catch (error) {
      const known = knownError(error, `Cannot do "${name}"`);
      if (known.code !== 'not-found') onFailure(name, known);
      if (method.isLookup === true && !isAppError(error, 'not-found') && !isAppError(error, 'usage'))
        return void request.socket.destroy();
      send(response, 200, { Err: wordsOf(known) });
    }
  } catch (error) {
    // The engine went away, or sent no HTTP that can be read.
    onFailure(name, knownError(error, 'Cannot read a request'));
    request.socket.destroy();
  }
}

const constants: Readonly<Record<string, PluginAnswer>> = {
  'Plugin.Activate': { Implements: ['VolumeDriver'] },
  'VolumeDriver.Capabilities': { Capabilities: { Scope: 'local' } },
};

function send(response: ServerResponse, status: number, answer: PluginAnswer): void {
  const body = Buffer.from(`${JSON.stringify(answer)}\n`);
  response.writeHead(status, { 'Content-Type': mediaType, 'Content-Length': body.length });
  response.end(body);
}

/** All on one line, as the engine shows it. */
function wordsOf({ message, detail, hint }: AppError): string {
  const words = detail === undefined ? message : `${message}: ${detail.replaceAll('\n', '; ')}`;
  return hint === undefined ? words : `${words} (${hint.replace(/\.$/, '')})`;
}
