import { knownError } from '../../lib/known-error.ts';
import { serveHttp, type ServedSocket } from '../../lib/serve-http.ts';
import { quote } from '../../model/quote.ts';
import type { PluginVolumes } from './answer-plugin.ts';
import { containedVolumes } from './contained-volumes.ts';
import { pluginListener } from './plugin-listener.ts';
import { showState, type ShownState } from './show-state.ts';
import { watchVolumes } from './watch-volumes.ts';

export interface PluginServiceRequest {
  readonly socket: ServedSocket;
  readonly signal: AbortSignal;
  /** Tells people, one line at a time. */
  readonly say: (message: string) => void;
  /** The socket is there. */
  readonly onReady?: (() => void) | undefined;
  /** For a managed plugin. The state folder is not touched before it is shown. */
  readonly shown?: ShownState | undefined;
}

/** Mounts take up to so long, and one that is cut short would have to be found again. */
const graceMs = 20_000;
const lookEveryMs = 60_000;

/** Serves the volume plugin protocol until the signal is aborted. Mounts stay as they are then: containers use them. */
export async function servePlugin(
  openVolumes: () => Promise<PluginVolumes>,
  { socket, signal, say, onReady, shown }: PluginServiceRequest,
): Promise<void> {
  // The socket first: an engine that starts waits for us, and gives up soon.
  const opened = Promise.withResolvers<PluginVolumes>();
  const failed = new AbortController();
  opened.promise.catch((error: unknown) => failed.abort(knownError(error)));
  await using watch = watchVolumes(opened.promise, { say, everyMs: lookEveryMs });
  await serveHttp({
    socket,
    signal: AbortSignal.any([signal, failed.signal]),
    graceMs,
    onRequest: pluginListener({
      volumes: opened.promise,
      // An engine that starts may have crashed before.
      onActivate: () => watch.engineStarted(),
      onFailure: (method, { message, detail }) =>
        say(`${method}: ${message}${detail === undefined ? '' : ` (${detail})`}`),
    }),
    onListening() {
      say(`Volumes are served to Docker at ${quote(socket.path)}.`);
      onReady?.();
      // An engine says nothing to a managed plugin when it has started: it starts the plugin.
      if (shown !== undefined) watch.engineStarted();
      openContained(openVolumes, shown).then(opened.resolve, opened.reject);
    },
  });
  if (failed.signal.aborted) throw failed.signal.reason;
}

async function openContained(
  openVolumes: () => Promise<PluginVolumes>,
  shown: ShownState | undefined,
): Promise<PluginVolumes> {
  if (shown === undefined) return await openVolumes();
  await showState(shown);
  return containedVolumes(await openVolumes(), () => showState(shown));
}
