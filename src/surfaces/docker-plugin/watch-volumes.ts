import { knownError } from '../../lib/known-error.ts';
import { quote } from '../../model/quote.ts';
import type { PluginVolumes } from './answer-plugin.ts';
import type { LabelLearner } from './learn-labels.ts';
import { dropStaleHolds } from './drop-stale-holds.ts';

export interface VolumeWatch extends AsyncDisposable {
  /** An engine has started: it takes a while to end the containers that its last run has left. */
  engineStarted(): void;
}

interface WatchOptions {
  readonly say: (message: string) => void;
  readonly everyMs: number;
  readonly labels: Pick<LabelLearner, 'lookAtAll'> | undefined;
}

const afterStartMs = [0, 2000, 5000, 15_000, 30_000] as const;

/**
 * Periodically and on request: releases the holds of crashed engines, and checks the health of mounted
 * volumes.
 */
export function watchVolumes(
  volumes: Promise<PluginVolumes>,
  { say, everyMs, labels }: WatchOptions,
): VolumeWatch {
  let looking: Promise<void> | undefined;
  let isWanted = false;
  const look = (): void => {
    isWanted = true;
    looking ??= (async () => {
      while (isWanted) {
        isWanted = false;
        await lookOnce(await volumes, say);
        await labels?.lookAtAll();
      }
    })()
      .catch((error: unknown) => say(`Cannot look after the volumes: ${knownError(error).message}`))
      .finally(() => (looking = undefined));
  };
  const timer = setInterval(look, everyMs);
  const soon = new Set<NodeJS.Timeout>();
  return {
    engineStarted() {
      for (const afterMs of afterStartMs) soon.add(setTimeout(look, afterMs));
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      for (const one of soon) clearTimeout(one);
      await looking;
    },
  };
}

async function lookOnce(volumes: PluginVolumes, say: (message: string) => void): Promise<void> {
  const freed = await dropStaleHolds(volumes);
  if (freed.length > 0) {
    say(`Let go of what an engine held that has ended: ${freed.map((name) => quote(name)).join(', ')}.`);
  }
  // One that hangs is waited for a few seconds only, and delays no answer.
  const mounted = (await volumes.list()).filter(
    ({ isMounted, mountIds }) => isMounted && mountIds.length > 0,
  );
  await Promise.all(mounted.map(({ name }) => volumes.health(name)));
}
