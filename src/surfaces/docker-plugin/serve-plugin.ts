import { basename } from 'node:path';
import type { EngineRecords } from '../../app/app.ts';
import { knownError } from '../../lib/known-error.ts';
import { claimMounts, endClaim } from '../../lib/mount-claim.ts';
import { serveHttp, type ServedSocket } from '../serve/serve-http.ts';
import { quote } from '../../model/quote.ts';
import { sayFailure } from '../say-failure.ts';
import { sayUncaught } from '../say-uncaught.ts';
import type { PluginVolumes } from './answer-plugin.ts';
import { containedVolumes } from './contained-volumes.ts';
import { learnLabels } from './learn-labels.ts';
import { SharedRecords } from './shared-records.ts';
import { sharedVolumes } from './shared-volumes.ts';
import { pluginListener } from './plugin-listener.ts';
import { requireSeen, showState, type ShownState, untilCleanedUp } from './show-state.ts';
import { watchVolumes } from './watch-volumes.ts';

export interface PluginServiceRequest {
  readonly socket: ServedSocket;
  readonly signal: AbortSignal;
  /** Messages for people, one line each. */
  readonly say: (message: string) => void;
  /** The socket is there. */
  readonly onReady?: (() => void) | undefined;
  /** For a managed plugin. The state folder is not touched before it is shown. */
  readonly shown?: ShownState | undefined;
  readonly stateDir: string;
  /** The folder of shared volumes of several hosts: only those are served. */
  readonly sharedDir?: string | undefined;
  /** The engine's records for a driver of that name. */
  readonly openRecords?: ((driver: string) => Promise<EngineRecords>) | undefined;
}

/** A mount may take this long, and one that is cut short would have to be found again. */
const graceMs = 20_000;
const lookEveryMs = 60_000;

/** Serves the volume plugin protocol until the signal is aborted. Mounts stay then: containers use them. */
export async function servePlugin(
  openVolumes: () => Promise<PluginVolumes>,
  { socket, signal, say, onReady, shown, stateDir, sharedDir, openRecords }: PluginServiceRequest,
): Promise<void> {
  if (shown !== undefined) await untilCleanedUp(shown);
  // The socket first: an engine that starts waits for the plugin, and gives up soon.
  const opened = Promise.withResolvers<PluginVolumes>();
  const failed = new AbortController();
  // The engine starts a managed plugin that ends anew.
  const onUnseen = (error: unknown): void => failed.abort(knownError(error));
  await using held = new AsyncDisposableStack();
  // A managed plugin is a container, and cannot reach the engine.
  const driver = basename(socket.path, '.sock');
  const seen = shown === undefined ? openRecords : undefined;
  const labels = seen && learnLabels(opened.promise, { driver, open: () => seen(driver) }, say);
  const served = opened.promise.then((volumes) => labels?.learningOf(volumes) ?? volumes);
  served.catch((error: unknown) => failed.abort(knownError(error)));
  await using watch = watchVolumes(opened.promise, { say, everyMs: lookEveryMs, labels });
  // Ends before the watch does, which waits for pending requests.
  await using _labels = labels;
  await serveHttp({
    socket,
    signal: AbortSignal.any([signal, failed.signal]),
    graceMs,
    onRequest: pluginListener({
      volumes: served,
      scope: sharedDir === undefined ? 'local' : 'global',
      // An engine that starts may have crashed before.
      onActivate: () => watch.engineStarted(),
      onDockerd: () => labels?.engineAsked(),
      onFailure: (method, error) => sayFailure(say, method, error),
    }),
    onUncaught: (what, error) => sayUncaught(say, what, error),
    onListening() {
      say(`Volumes are served to Docker at ${quote(socket.path)}.`);
      onReady?.();
      // An engine that starts sends nothing to a managed plugin: it starts the plugin.
      if (shown !== undefined) watch.engineStarted();
      openHere(openVolumes, { shown, stateDir, sharedDir, held, onUnseen }).then(
        opened.resolve,
        opened.reject,
      );
    },
  });
  if (failed.signal.aborted) throw failed.signal.reason;
}

interface Place extends Pick<PluginServiceRequest, 'shown' | 'stateDir' | 'sharedDir'> {
  /** Disposed when the plugin ends. */
  readonly held: AsyncDisposableStack;
  /** Nothing that is mounted here reaches the engine. */
  readonly onUnseen: (error: unknown) => void;
}

async function openHere(
  openVolumes: () => Promise<PluginVolumes>,
  { shown, stateDir, sharedDir, held, onUnseen }: Place,
): Promise<PluginVolumes> {
  if (shown === undefined) {
    await endClaim(stateDir);
    const own = await openVolumes();
    return sharedDir === undefined ? own : sharedVolumes(own, new SharedRecords(sharedDir));
  }
  await showState(shown);
  const claim = held.use(await claimMounts(stateDir));
  const volumes = await openVolumes();
  held.defer(async () => {
    const isIdle = (await volumes.list()).every(({ mountIds }) => mountIds.length === 0);
    if (isIdle) await claim.forget();
  });
  return containedVolumes(volumes, async () => {
    await showState(shown);
    await requireSeen(shown).catch((error: unknown) => {
      onUnseen(error);
      throw error;
    });
  });
}
