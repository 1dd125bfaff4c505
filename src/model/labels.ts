import { AppError } from './errors.ts';
import { type Hook, hookMoments } from './hook.ts';
import {
  type LabelOwner,
  LabelReader,
  type Labels,
  parseFlag,
  parseList,
  readHook,
} from './label-reading.ts';
import { type LabelSettings, layerLabels, noLabelSettings, type Stillness } from './label-settings.ts';
import { readNauticalLabels, readOffenLabels, readStackBackLabels } from './labels-foreign.ts';
import { nearNames } from './near-names.ts';
import { quote } from './quote.ts';

const foreign = [readOffenLabels, readNauticalLabels, readStackBackLabels];

/** A label that is read here. */
export function speaksToUs(label: string): boolean {
  return /^(?:holdfast|docker-volume-backup|nautical-backup|stack-back)\./.test(label);
}

/**
 * The backup settings in the labels of a volume or a container: our own labels first, then those of other
 * tools. Pure.
 */
export function readLabels(labels: Labels, owner: LabelOwner): LabelSettings {
  return foreign.reduce(
    (settings, read) => layerLabels(settings, read(labels, owner)),
    readHoldfastLabels(labels, owner),
  );
}

const prefix = 'holdfast.';

/** Settings that `holdfast.yaml` has too, where they are interpreted. */
const settingNames = [
  'schedule',
  'time-zone',
  'jitter',
  'catch-up',
  'consistency',
  'max-still',
  'still-tries',
  'exclude',
  'tags',
  'repositories',
  ...['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly', 'within', 'tags', 'verified'].map(
    (rule) => `keep.${rule}`,
  ),
  ...['hourly', 'daily', 'weekly', 'monthly', 'yearly'].map((period) => `keep.within-${period}`),
];

const presetNames = ['auto', 'none', 'postgresql', 'mariadb', 'mysql', 'mongodb', 'redis', 'sqlite'];

/** Labels read elsewhere: database logins, and our own labels on what we create. */
const othersNames = ['database.user', 'database.password-env', 'database.password-file'];
const ownNames = /^(?:trial|helper|run|pins?)(?:\.|$)/;

const plainNames = [
  'backup',
  'enable',
  'policy',
  'repository',
  'volumes',
  'volumes.exclude',
  'stop',
  'group',
  'preset',
  'dump',
];

const hookLabel = /^hook\.(before|during|after|on-error)(?:\.(\d{1,3}))?(?:\.(user|timeout|in|on-failure))?$/;

/** Reads our own labels. An unknown one is reported, with similar names. */
function readHoldfastLabels(labels: Labels, owner: LabelOwner): LabelSettings {
  const reader = new LabelReader(owner);
  const value = (name: string): string | undefined => labels[prefix + name];
  const read = <T>(name: string, parse: (text: string) => T): T | undefined => {
    const text = value(name);
    return text === undefined ? undefined : reader.read(prefix + name, () => parse(text));
  };
  warnOfUnknown(labels, reader);
  const include = read('volumes', parseList);
  const exclude = read('volumes.exclude', parseList);
  const repository = value('repository');
  const settings = Object.fromEntries(
    settingNames.flatMap((name) => {
      const text = value(name);
      return text === undefined ? [] : [[name, text]];
    }),
  );
  return {
    ...noLabelSettings,
    enabled: read('backup', parseFlag) ?? read('enable', parseFlag),
    volumes: include || exclude ? { include: include ?? [], exclude: exclude ?? [] } : undefined,
    policies: read('policy', parseList),
    settings: { ...(repository !== undefined && { repositories: repository }), ...settings },
    stillness: read('stop', parseStillness),
    groups: read('group', parseList) ?? [],
    preset: read('preset', parsePreset),
    dump: read('dump', parseFlag),
    hooks: readHooks(labels, reader),
    warnings: reader.warnings,
  };
}

function parseStillness(text: string): Stillness {
  if (text === 'pause') return 'pause';
  return parseFlag(text) ? 'stop' : 'run';
}

/** The name of a preset, `auto` or `none`. */
export function parsePreset(text: string): string {
  const name = text.trim().toLowerCase();
  if (!presetNames.includes(name))
    throw new AppError('usage', `there is no preset ${quote(text)}; there are ${presetNames.join(', ')}`);
  return name === 'mysql' ? 'mariadb' : name;
}

/** `holdfast.hook.before`, or several by number: `holdfast.hook.before.2`, each with `.user` and the like. */
function readHooks(labels: Labels, reader: LabelReader): Hook[] {
  const found = Object.keys(labels).flatMap((label) => {
    const match = label.startsWith(prefix) ? hookLabel.exec(label.slice(prefix.length)) : null;
    const moment = hookMoments.find((name) => name === match?.[1]);
    return match && moment ? [{ label, moment, number: Number(match[2] ?? 0), option: match[3] }] : [];
  });
  const commands = found
    .filter(({ option }) => option === undefined)
    .toSorted((a, b) => a.number - b.number || (a.label < b.label ? -1 : 1));
  for (const { label, option } of found) {
    if (option === undefined) continue;
    if (!Object.hasOwn(labels, label.slice(0, -option.length - 1)))
      reader.warn(label, 'belongs to no command');
  }
  return commands.flatMap(({ label, moment }) => {
    const option = (name: string): string | undefined => labels[`${label}.${name}`];
    const hook = reader.read(label, () =>
      readHook({
        moment,
        label,
        command: labels[label] ?? '',
        user: option('user'),
        timeout: option('timeout'),
        target: option('in'),
        onFailure: option('on-failure'),
      }),
    );
    return hook ? [hook] : [];
  });
}

function warnOfUnknown(labels: Labels, reader: LabelReader): void {
  const known = [...plainNames, ...settingNames, ...othersNames];
  const hooks = hookMoments.map((moment) => `hook.${moment}`);
  for (const label of Object.keys(labels)) {
    if (!label.startsWith(prefix)) continue;
    const name = label.slice(prefix.length);
    if (known.includes(name) || hookLabel.test(name) || ownNames.test(name)) continue;
    const near = nearNames(name, [...known, ...hooks]).map((other) => quote(prefix + other));
    reader.warn(label, `is not known${near.length > 0 ? `: did you mean ${near.join(' or ')}?` : ''}`);
  }
}
