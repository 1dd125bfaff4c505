import { knownError } from '../../lib/known-error.ts';
import { sayFailure } from '../say-failure.ts';
import { sayUncaught } from '../say-uncaught.ts';
import { serveHttp, type ServedSocket } from '../serve/serve-http.ts';
import type { WatchedSizes } from '../../app/app.ts';
import type { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { apiListener } from './api-listener.ts';
import type { ApiParts, ApiVolumes } from './api-parts.ts';
import { EventLog } from './event-log.ts';
import { openUpstream, passUpgrade, takesConnection } from './upstream.ts';
import { upstreamListener } from './upstream-listener.ts';
import { VolumeTexts } from './volume-texts.ts';
import type { RemovalParts, TrashForeign } from './upstream-removal.ts';
import { ApiError } from './api-error.ts';
import { askUpstream, jsonOf } from './ask-upstream.ts';
import type { Upstream } from './send-upstream.ts';

export interface ApiServiceRequest {
  readonly socket: ServedSocket;
  /**
   * The engine that everything else is passed to: `unix:///var/run/docker.sock`. Undefined serves the managed
   * volumes.
   */
  readonly upstream: string | undefined;
  readonly signal: AbortSignal;
  /** Messages for people, one line each. */
  readonly say: (message: string) => void;
  /** The socket is there. */
  readonly onReady?: (() => void) | undefined;
}

/** What is opened once the socket is there. */
export interface ApiBackend {
  openVolumes(): Promise<{
    readonly volumes: ApiVolumes;
    readonly identity: string;
  }>;
  /** Closed with the service. */
  openSizes(): Promise<WatchedSizes>;
  /** For volumes of the upstream engine. */
  openTrash(): Promise<TrashForeign>;
  isProtected(engineId: string, name: string): Promise<boolean>;
}

const graceMs = 5_000;

/**
 * Serves the Engine API's volume routes, or a whole engine with a trash for its volumes, until the signal is
 * aborted.
 */
export async function serveApi(backend: ApiBackend, request: ApiServiceRequest): Promise<void> {
  const { socket, say } = request;
  const onFailure = (what: string, error: AppError): void => sayFailure(say, what, error);
  if (request.upstream === undefined) {
    await using opened = new AsyncDisposableStack();
    await serve(request, {
      said: `The volumes' part of Docker's API is served at ${quote(socket.path)}.`,
      async open(): Promise<ApiParts> {
        const parts = await backend.openVolumes();
        const events = opened.use(new EventLog(parts.volumes));
        const sizes = opened.use(await backend.openSizes());
        return { ...parts, events, sizes, texts: new VolumeTexts(), pruning: { isRunning: false } };
      },
      listeners: (parts) => ({ onRequest: apiListener({ parts, onFailure }) }),
    });
    return;
  }
  using upstream = openUpstream(request.upstream);
  await serve(request, {
    said: `The engine at ${quote(request.upstream)} is served at ${quote(socket.path)}, with a trash for its volumes.`,
    async open(): Promise<RemovalParts> {
      const engineId = engineIdOf(upstream);
      return {
        upstream,
        trash: await backend.openTrash(),
        isProtected: async (name) => await backend.isProtected(await engineId(), name),
        pruning: { isRunning: false },
      };
    },
    listeners: (parts) => ({
      onRequest: upstreamListener({ parts, upstream, onFailure }),
      upgrades: { wants: takesConnection, take: passUpgrade(upstream) },
    }),
  });
}

interface Service<Parts> {
  readonly said: string;
  open(): Promise<Parts>;
  listeners(parts: Promise<Parts>): Pick<Parameters<typeof serveHttp>[0], 'onRequest' | 'upgrades'>;
}

/** The socket first: a client that starts meanwhile waits for its answer, and need not retry. */
async function serve<Parts>(
  { socket, signal, say, onReady }: ApiServiceRequest,
  service: Service<Parts>,
): Promise<void> {
  const parts = Promise.withResolvers<Parts>();
  const failed = new AbortController();
  parts.promise.catch((error: unknown) => failed.abort(knownError(error)));
  await serveHttp({
    socket,
    signal: AbortSignal.any([signal, failed.signal]),
    graceMs,
    onUncaught: (what, error) => sayUncaught(say, what, error),
    ...service.listeners(parts.promise),
    onListening() {
      say(service.said);
      onReady?.();
      service.open().then(parts.resolve, parts.reject);
    },
  });
  if (failed.signal.aborted) throw failed.signal.reason;
}

/** Asks an engine for its id, until it has answered once. */
function engineIdOf(upstream: Upstream): () => Promise<string> {
  let known: string | undefined;
  return async () => {
    if (known !== undefined) return known;
    const info = jsonOf<{ readonly ID?: string }>(
      await askUpstream(upstream, { method: 'GET', path: '/info' }),
    );
    if (!info?.ID)
      throw new ApiError(503, 'the engine does not say who it is, so it is not known what is protected');
    return (known = info.ID);
  };
}
