import { AppError } from './errors.ts';
import type { Hook, HookMoment } from './hook.ts';
import { type LabelOwner, LabelReader, type Labels, parseList, readHook } from './label-reading.ts';
import { type LabelSettings, noLabelSettings } from './label-settings.ts';
import { quote } from './quote.ts';

const prefix = 'stack-back.';
const databases: Readonly<Record<string, string>> = {
  postgres: 'postgresql',
  mariadb: 'mariadb',
  mysql: 'mariadb',
};

/** Its `post` hooks run after a success only, ours always: they are told what came of the backup. */
const moments: Readonly<Record<string, HookMoment>> = {
  pre: 'before',
  post: 'after',
  finally: 'after',
  error: 'on-error',
};

const hookLabel = /^hooks\.(pre|post|error|finally)\.(\d+)\.(cmd|context|on-error)$/;

/** Reads the labels of stack-back. */
export function readStackBackLabels(labels: Labels, owner: LabelOwner): LabelSettings {
  const reader = new LabelReader(owner);
  const flag = (name: string): boolean | undefined => reader.flag(labels, prefix + name);
  for (const label of Object.keys(labels)) {
    if (!label.startsWith(prefix)) continue;
    const name = label.slice(prefix.length);
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
  const include = parseList(labels[`${prefix}volumes.include`] ?? '');
  const exclude = parseList(labels[`${prefix}volumes.exclude`] ?? '');
  const stops = flag('volumes.stop-during-backup');
  return {
    ...noLabelSettings,
    // It leaves the files of what it dumps; whoever asks for the dump does not ask for less than both.
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
    const match = label.startsWith(prefix) ? hookLabel.exec(label.slice(prefix.length)) : null;
    const moment = moments[match?.[1] ?? ''];
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
