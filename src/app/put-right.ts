import path from 'node:path';
import type { Host } from '../hosts/host.ts';
import { namesIn } from '../lib/names-in.ts';
import type { Protection } from '../activity/index.ts';
import type { RecoverReport, SettleOptions } from '../restore/index.ts';
import type { AppConfig } from './app-config.ts';

/** Puts right on a host what work that was killed has left. What it takes is loaded only where something was left. */
export interface PutRight {
  /** What restores have left. Nothing is done on a volume before. */
  settle(found: Host, which?: SettleOptions): Promise<void>;
  /** What drills have left. */
  removeTrials(found: Host): Promise<void>;
  /** Brings back the containers that were left stopped or paused. */
  recover(found: Host): Promise<RecoverReport>;
}

export function openPutRight({ stateDir, onWarning }: AppConfig, protection: () => Protection): PutRight {
  const partsOn = (found: Host): Protection => ({ ...protection(), host: async () => found });
  const isAnythingIn = async (...folders: readonly string[]): Promise<boolean> => {
    for (const folder of folders) if ((await namesIn(path.join(stateDir, folder))).length > 0) return true;
    return false;
  };
  const settleNow = async (found: Host, which?: SettleOptions): Promise<void> => {
    if (!(await isAnythingIn('journal', 'undo'))) return;
    const { settleAll } = await import('../restore/index.ts');
    await settleAll(partsOn(found), { onNote: onWarning, ...which });
  };
  let settling: Promise<void> = Promise.resolve();
  return {
    // In turn: two at it would each find the other at work, and go on.
    settle: (found, which) =>
      (settling = settling.catch(() => undefined).then(() => settleNow(found, which))),
    async removeTrials(found) {
      if (!(await isAnythingIn('trials'))) return;
      const { removeLeftTrials } = await import('../proof/index.ts');
      await removeLeftTrials(partsOn(found), { onNote: onWarning });
    },
    async recover(found) {
      if (!(await isAnythingIn('journal-apps', 'journal-hooks')))
        return { jobs: [], hooks: [], elsewhere: 0 };
      const { recoverAtStart } = await import('../restore/index.ts');
      return await recoverAtStart(partsOn(found), { onNote: onWarning });
    },
  };
}
