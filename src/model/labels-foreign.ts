import { parseDuration } from './duration.ts';
import { AppError } from './errors.ts';
import type { Hook, HookMoment } from './hook.ts';
import { type LabelOwner, LabelReader, type Labels, parseList, readHook } from './label-reading.ts';
import { type LabelSettings, noLabelSettings } from './label-settings.ts';
import { quote } from './quote.ts';

const nauticalPrefix = 'nautical-backup.';
const defaultTimeoutMs = 60_000;
const withoutLimitMs = 24 * 3_600_000;

/** Its options for copying and folder names. */
const aboutCopies =
  /^(?:additional-folders(?:\.when)?|override-(?:source|destination)-dir|keep_src_dir_name|use-default-rsync-args|rsync-custom-args)$/;

/** Reads the labels of Nautical. */
export function readNauticalLabels(labels: Labels, owner: LabelOwner): LabelSettings {
  const reader = new LabelReader(owner);
  const flag = (name: string): boolean | undefined => reader.flag(labels, nauticalPrefix + name);
  for (const label of Object.keys(labels)) {
    if (!label.startsWith(nauticalPrefix)) continue;
    const name = label.slice(nauticalPrefix.length);
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
    groups: parseList(labels[`${nauticalPrefix}group`] ?? ''),
    hooks: [...readLifecycle(labels, 'before', reader), ...readLifecycle(labels, 'after', reader)],
    warnings: reader.warnings,
  };
}

function readLifecycle(labels: Labels, moment: 'before' | 'after', reader: LabelReader): Hook[] {
  const label = `${nauticalPrefix}lifecycle.${moment}`;
  const command = labels[label];
  if (command === undefined) return [];
  const timeoutMs = readTimeout(labels[`${label}.timeout`], `${label}.timeout`, reader);
  // Nautical ignores failures of its hooks: they are only logged.
  const hook = reader.read(label, () => readHook({ moment, label, command, onFailure: 'warn' }));
  return hook ? [{ ...hook, timeoutMs }] : [];
}

/** In the syntax of "timeout": a number without a unit is in seconds, 0 is no limit. */
function readTimeout(text: string | undefined, label: string, reader: LabelReader): number {
  if (text === undefined) return defaultTimeoutMs;
  const withUnit = /^\d+(?:\.\d+)?$/.test(text.trim()) ? `${text.trim()}s` : text.trim();
  const timeoutMs = reader.read(label, () => parseDuration(withUnit)) ?? defaultTimeoutMs;
  return timeoutMs === 0 ? withoutLimitMs : timeoutMs;
}

const offenPrefix = 'docker-volume-backup.';
/** Nautical has no limit for its commands; a day amounts to that. */
const timeoutMs = 24 * 3_600_000;

/** Its steps with a counterpart here. Several of its steps, such as archiving and sending, are one here. */
const offenMoments: Readonly<Record<string, HookMoment>> = {
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
    if (!label.startsWith(offenPrefix)) continue;
    const name = label.slice(offenPrefix.length);
    // Which of several backups a label refers to has no meaning here: a backup is of a volume, and its
    // containers are known.
    if (name === 'exec-label' || name.endsWith('.user')) continue;
    const moment = offenMoments[name];
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

const stackBackPrefix = 'stack-back.';
const databases: Readonly<Record<string, string>> = {
  postgres: 'postgresql',
  mariadb: 'mariadb',
  mysql: 'mariadb',
};

/** Its `post` hooks run only after a success, ours always, with the result of the backup. */
const stackBackMoments: Readonly<Record<string, HookMoment>> = {
  pre: 'before',
  post: 'after',
  finally: 'after',
  error: 'on-error',
};

const hookLabel = /^hooks\.(pre|post|error|finally)\.(\d+)\.(cmd|context|on-error)$/;

/** Reads the labels of stack-back. */
export function readStackBackLabels(labels: Labels, owner: LabelOwner): LabelSettings {
  const reader = new LabelReader(owner);
  const flag = (name: string): boolean | undefined => reader.flag(labels, stackBackPrefix + name);
  for (const label of Object.keys(labels)) {
    if (!label.startsWith(stackBackPrefix)) continue;
    const name = label.slice(stackBackPrefix.length);
    const isKnown =
      /^(?:volumes(?:\.(?:include|exclude|stop-during-backup))?|mysql|mariadb|postgres|process|ordered|order\..+)$/.test(
        name,
      ) || hookLabel.test(name);
    if (!isKnown) reader.warn(label, 'has no meaning for Holdfast');
  }
  const dumps = Object.keys(databases).flatMap((name) => {
    const wanted = flag(name);
    return wanted === undefined ? [] : [{ preset: databases[name], wanted }];
  });
  const wanted = dumps.find((dump) => dump.wanted);
  const include = parseList(labels[`${stackBackPrefix}volumes.include`] ?? '');
  const exclude = parseList(labels[`${stackBackPrefix}volumes.exclude`] ?? '');
  const stops = flag('volumes.stop-during-backup');
  return {
    ...noLabelSettings,
    // stack-back omits the files of what it dumps; a dump here includes both.
    enabled: wanted ? true : flag('volumes'),
    volumes: include.length + exclude.length > 0 ? { include, exclude } : undefined,
    stillness: stops === true ? 'stop' : undefined,
    preset: wanted?.preset,
    dump: wanted ? true : dumps.length > 0 ? false : undefined,
    hooks: readHooks(labels, reader),
    warnings: reader.warnings,
  };
}

function readHooks(labels: Labels, reader: LabelReader): Hook[] {
  const commands = Object.keys(labels).flatMap((label) => {
    const match = label.startsWith(stackBackPrefix)
      ? hookLabel.exec(label.slice(stackBackPrefix.length))
      : null;
    const moment = stackBackMoments[match?.[1] ?? ''];
    return match?.[3] === 'cmd' && moment ? [{ label, moment, number: Number(match[2]) }] : [];
  });
  return commands
    .toSorted((a, b) => a.number - b.number)
    .flatMap(({ label, moment }) => {
      const base = label.slice(0, -'cmd'.length);
      const hook = reader.read(label, () =>
        readHook({
          moment,
          label,
          command: labels[label] ?? '',
          target: labels[`${base}context`],
          onFailure: failureOf(labels[`${base}on-error`]),
        }),
      );
      return hook ? [hook] : [];
    });
}

function failureOf(text: string | undefined): 'abort' | 'warn' {
  if (text === undefined || text === 'abort') return 'abort';
  if (text === 'continue') return 'warn';
  throw new AppError('usage', `${quote(text)} is neither "abort" nor "continue"`);
}
