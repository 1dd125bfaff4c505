import { parseDuration } from './duration.ts';
import type { Hook } from './hook.ts';
import { type LabelOwner, LabelReader, type Labels, parseList, readHook } from './label-reading.ts';
import { type LabelSettings, noLabelSettings } from './label-settings.ts';

const prefix = 'nautical-backup.';
const defaultTimeoutMs = 60_000;
const withoutLimitMs = 24 * 3_600_000;

/** How it copies and what it calls its folders. */
const aboutCopies =
  /^(?:additional-folders(?:\.when)?|override-(?:source|destination)-dir|keep_src_dir_name|use-default-rsync-args|rsync-custom-args)$/;

/** Reads the labels of Nautical. */
export function readNauticalLabels(labels: Labels, owner: LabelOwner): LabelSettings {
  const reader = new LabelReader(owner);
  const flag = (name: string): boolean | undefined => reader.flag(labels, prefix + name);
  for (const label of Object.keys(labels)) {
    if (!label.startsWith(prefix)) continue;
    const name = label.slice(prefix.length);
    if (/^(?:enable|stop-before-backup|group|lifecycle\.(?:before|after)(?:\.timeout)?)$/.test(name))
      continue;
    if (aboutCopies.test(name))
      reader.warn(label, 'is about copies in folders, which Holdfast does not make');
    else if (/^(?:curl|exec)\./.test(name))
      reader.warn(
        label,
        'is not run: it is a command of the machine that backs up, and Holdfast runs commands in containers',
      );
    else reader.warn(label, 'has no meaning for Holdfast');
  }
  const stops = flag('stop-before-backup');
  return {
    ...noLabelSettings,
    enabled: flag('enable'),
    stillness: stops === undefined ? undefined : stops ? 'stop' : 'run',
    groups: parseList(labels[`${prefix}group`] ?? ''),
    hooks: [...readLifecycle(labels, 'before', reader), ...readLifecycle(labels, 'after', reader)],
    warnings: reader.warnings,
  };
}

function readLifecycle(labels: Labels, moment: 'before' | 'after', reader: LabelReader): Hook[] {
  const label = `${prefix}lifecycle.${moment}`;
  const command = labels[label];
  if (command === undefined) return [];
  const timeoutMs = readTimeout(labels[`${label}.timeout`], `${label}.timeout`, reader);
  // Its hooks are asked nothing: a failure is logged.
  const hook = reader.read(label, () => readHook({ moment, label, command, onFailure: 'warn' }));
  return hook ? [{ ...hook, timeoutMs }] : [];
}

/** As of the command "timeout": a number without a unit is seconds, 0 is no limit. */
function readTimeout(text: string | undefined, label: string, reader: LabelReader): number {
  if (text === undefined) return defaultTimeoutMs;
  const withUnit = /^\d+(?:\.\d+)?$/.test(text.trim()) ? `${text.trim()}s` : text.trim();
  const timeoutMs = reader.read(label, () => parseDuration(withUnit)) ?? defaultTimeoutMs;
  return timeoutMs === 0 ? withoutLimitMs : timeoutMs;
}
