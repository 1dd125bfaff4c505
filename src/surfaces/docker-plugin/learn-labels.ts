import type { EngineRecord, EngineRecords } from '../../app/app.ts';
import { isAppError } from '../../model/errors.ts';
import { knownError } from '../../lib/known-error.ts';
import { quote } from '../../model/quote.ts';
import { removedFromLabel } from '../../model/volume-name.ts';
import type { PluginVolumes } from './answer-plugin.ts';

export interface LabelSource {
  /** The plugin's name as the engine's users write it. */
  readonly driver: string;
  /** The engine's own records. Called when they are first needed. */
  readonly open: () => Promise<EngineRecords>;
}

export interface LabelLearner extends AsyncDisposable {
  /** The engine runs. It gets no request before: when systemd owns its socket, a request would start it. */
  engineAsked(): void;
  /** The same volumes; the labels of each new one are requested. */
  learningOf(volumes: PluginVolumes): PluginVolumes;
  /**
   * Checks all volumes, until an engine has listed them once. A volume that cannot be labelled does not stop
   * the others.
   */
  lookAtAll(): Promise<void>;
}

const waitingAtMost = 1000;
/**
 * By this label an engine prunes volumes that no container uses. It stays the engine's alone: Holdfast's
 * prune would go by its own mounts.
 */
const anonymousLabel = 'com.docker.volume.anonymous';

/**
 * Records the labels that volumes have at the engine, which sends its plugins options only: with them a
 * volume can come back from the trash as it was. The engine is asked in the background, one request at a
 * time; its answer about a new volume waits until it has made the volume and knows the labels. No answer of
 * the plugin waits for the engine. Labels that a volume already has here stay. The mark of what an engine
 * lost is Holdfast's own, and not learned.
 */
export function learnLabels(
  volumes: Promise<Pick<PluginVolumes, 'find' | 'list' | 'label'>>,
  { driver, open }: LabelSource,
  say: (message: string) => void,
): LabelLearner {
  const ending = new AbortController();
  const { signal } = ending;
  let opened: Promise<EngineRecords> | undefined;
  const records = (): Promise<EngineRecords> => (opened ??= open());
  let work = Promise.resolve();
  let waiting = 0;
  let isEngineThere = false;
  let hasLookedAtAll = false;
  const remember = async (record: EngineRecord): Promise<void> => {
    const { [anonymousLabel]: _, [removedFromLabel]: __, ...labels } = record.labels;
    // A volume of that name may be another driver's.
    if (record.driver !== driver || Object.keys(labels).length === 0) return;
    const kept = await volumes;
    const volume = await kept.find(record.name);
    if (volume !== undefined && Object.keys(volume.labels).length === 0)
      await kept.label(record.name, labels, { signal });
  };
  const tell = (name: string, error: unknown): void => {
    if (!signal.aborted) say(`The labels of ${quote(name)} are not known here: ${knownError(error).message}`);
  };
  const learn = (name: string): void => {
    if (!isEngineThere || waiting >= waitingAtMost || signal.aborted) return;
    waiting += 1;
    work = work
      .then(async () => {
        const record = await (await records()).find(name, { signal });
        if (record !== undefined) await remember(record);
      })
      .catch((error: unknown) => {
        // There is no engine: the request came from another program, such as Podman.
        if (!isAppError(error, 'unavailable')) tell(name, error);
      })
      .finally(() => {
        waiting -= 1;
      });
  };
  return {
    engineAsked() {
      isEngineThere = true;
    },
    learningOf: (own) => ({
      async create(spec, options) {
        const volume = await own.create(spec, options);
        learn(volume.name);
        return volume;
      },
      find: (name) => own.find(name),
      list: () => own.list(),
      remove: (name, options) => own.remove(name, options),
      mount: (name, id, options) => own.mount(name, id, options),
      unmount: (name, id, options) => own.unmount(name, id, options),
      label: (name, labels, options) => own.label(name, labels, options),
      health: (name) => own.health(name),
      lastHealth: (name) => own.lastHealth(name),
      reconcile: (options) => own.reconcile(options),
    }),
    async lookAtAll() {
      if (!isEngineThere || hasLookedAtAll) return;
      let listed: readonly EngineRecord[];
      try {
        listed = await (await records()).list(driver, { signal });
      } catch (error) {
        if (!isAppError(error)) throw error;
        return;
      }
      for (const record of listed)
        if (!signal.aborted) await remember(record).catch((error: unknown) => tell(record.name, error));
      hasLookedAtAll = true;
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      // What did not open has nothing to close.
      const left = await opened?.catch(() => undefined);
      // Closes its connections, and with them the pending requests.
      await left?.[Symbol.asyncDispose]();
      await work;
    },
  };
}
