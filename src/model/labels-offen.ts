import type { Hook, HookMoment } from './hook.ts';
import { type LabelOwner, LabelReader, type Labels, readHook } from './label-reading.ts';
import { type LabelSettings, noLabelSettings } from './label-settings.ts';

const prefix = 'docker-volume-backup.';
/** It waits for its commands without a limit; a day is none that anybody will miss. */
const timeoutMs = 24 * 3_600_000;

/** Its steps that have a counterpart here. What it writes and sends in several steps is one here. */
const moments: Readonly<Record<string, HookMoment>> = {
  'archive-pre': 'before',
  'exec-pre': 'before',
  'archive-post': 'after',
  'exec-post': 'after',
  'copy-post': 'after',
};

const steps = /^(?:archive|process|copy|prune|exec)-(?:pre|post)$/;

/** Reads the labels of offen/docker-volume-backup. */
export function readOffenLabels(labels: Labels, owner: LabelOwner): LabelSettings {
  const reader = new LabelReader(owner);
  let stops = false;
  const hooks: Hook[] = [];
  for (const [label, value] of Object.entries(labels)) {
    if (!label.startsWith(prefix)) continue;
    const name = label.slice(prefix.length);
    // Which of several backups it is about has no meaning here: a backup is of a volume, and its containers are known.
    if (name === 'exec-label' || name.endsWith('.user')) continue;
    const moment = moments[name];
    if (name === 'stop-during-backup') stops = value.trim().toLowerCase() !== 'false';
    else if (name === 'stop-during-backup-no-restart') {
      stops = true;
      reader.warn(label, 'stops it, and Holdfast starts it again: what ran before runs afterwards');
    } else if (moment !== undefined) {
      const hook = reader.read(label, () =>
        readHook({
          moment,
          label,
          command: value,
          user: labels[`${label}.user`],
          onFailure: 'abort',
          defaultTimeoutMs: timeoutMs,
        }),
      );
      if (hook) hooks.push(hook);
    } else if (steps.test(name)) reader.warn(label, 'is not run: Holdfast has no such step');
    else reader.warn(label, 'has no meaning for Holdfast');
  }
  return { ...noLabelSettings, stillness: stops ? 'stop' : undefined, hooks, warnings: reader.warnings };
}
