import { describeMaxStill } from '../model/consistency.ts';
import { compileExcludes, type ExcludeMatcher } from '../model/exclude.ts';
import type { Hook } from '../model/hook.ts';
import type { VolumeSettings } from './settings/volume-settings.ts';
import type { HostAccess } from '../hosts/host.ts';
import type { JobOptions } from '../activity/index.ts';
import type { BackupTarget } from '../volumes/index.ts';
import type { ApplicationSettings, ConsistencyChoice, Strength } from '../quiesce/index.ts';
import { readStackFiles, saidOf } from './settings/said-settings.ts';

/** Settings for how a volume is saved, from a policy, a label, or the command line. Undefined is not set. */
export type SettingFields = Pick<
  VolumeSettings,
  'consistency' | 'maxStillMs' | 'stillTries' | 'preset' | 'dump' | 'hooks' | 'excludes' | 'tags'
>;

/** What applies where neither the command line nor labels set anything: a policy, or `defaults`. */
export interface SettingsBase {
  /** For people. */
  readonly from: string;
  readonly settings: Partial<SettingFields>;
}

export interface SettingsRequest {
  /** From the command line; overrides the same settings from elsewhere. */
  readonly given?: Partial<SettingFields> | undefined;
  readonly base?: SettingsBase | undefined;
  /** A dump that cannot be made because no server runs is an error. */
  readonly mustDump?: boolean | undefined;
}

/** How one volume or directory is saved. */
export interface BackupSettings extends ConsistencyChoice {
  /** How long containers may be still for reading; Infinity for no limit. Undefined is not set. */
  readonly maxStillMs: number | undefined;
  /** How often, at most, they are made still when not all was read in time. */
  readonly stillTries: number | undefined;
  readonly tags: readonly string[];
  readonly excludes: readonly string[];
  readonly isExcluded: ExcludeMatcher;
  readonly applications: ApplicationSettings;
  /** The settings that were made, and where. */
  readonly said: readonly SaidSetting[];
}

export interface SaidSetting {
  /** As in `holdfast.yaml`. */
  readonly name: string;
  readonly value: string | boolean | readonly string[];
  /** For people: `a label of the volume`. */
  readonly from: string;
}

export interface SettingsLayer {
  readonly strength: Strength;
  readonly from: string;
  readonly settings: Partial<SettingFields>;
}

/**
 * How each target is saved, for policies and for manual backups: the command line before labels, labels
 * before `x-holdfast`, that before the policy or `defaults`. Reports invalid values.
 */
export async function chooseAllSettings(
  { host }: HostAccess,
  {
    targets,
    request,
    containerNames = [],
  }: {
    readonly targets: readonly BackupTarget[];
    readonly request: SettingsRequest;
    readonly containerNames?: readonly string[] | undefined;
  },
  { signal, onNote }: JobOptions,
): Promise<ReadonlyMap<BackupTarget, BackupSettings>> {
  // Directories given by path need no engine.
  const isAboutEngine = targets.some(({ kind }) => kind === 'volume') || containerNames.length > 0;
  const containers = isAboutEngine ? ((await (await host()).containers?.list({ signal })) ?? []) : [];
  const names = new Set(targets.map(({ name }) => name));
  const users = containers.filter(({ mounts }) =>
    mounts.some(({ source }) => source !== undefined && names.has(source)),
  );
  const compose = await readStackFiles(users);
  const warnings = new Set([...compose.values()].flatMap((files) => files.warnings));
  const allSettings = new Map<BackupTarget, BackupSettings>();
  for (const target of targets) {
    const around = { containers, compose };
    const said =
      target.kind === 'volume'
        ? saidOf(target.volume, around)
        : saidOf({ name: target.name, labels: {}, stack: undefined }, around, 'bind');
    // Unknown labels are reported where applications are run.
    for (const warning of said.settingWarnings) warnings.add(warning);
    const own = said.layers.map((layer): SettingsLayer => ({ ...layer, strength: 'own' }));
    allSettings.set(target, chooseSettings(request, own));
  }
  for (const warning of warnings) onNote?.(`${warning}.`);
  return allSettings;
}

/** `own` holds labels and `x-holdfast`, the strongest first. Pure. */
export function chooseSettings(request: SettingsRequest, own: readonly SettingsLayer[]): BackupSettings {
  const { given = {}, base, mustDump } = request;
  const layers: readonly SettingsLayer[] = [
    { strength: 'given', from: 'the command line', settings: given },
    ...own,
    ...(base === undefined ? [] : [{ strength: 'base', ...base } as const]),
  ];
  const find = <Name extends keyof SettingFields>(name: Name): Found<Name> | undefined => {
    for (const { strength, from, settings } of layers) {
      const value = settings[name];
      if (value !== undefined) return { value, from, strength };
    }
    return undefined;
  };
  const [maxStill, tries] = [find('maxStillMs'), find('stillTries')];
  const [consistency, preset, dump, hooks, excludes, tags] = [
    find('consistency'),
    find('preset'),
    find('dump'),
    find('hooks'),
    find('excludes'),
    find('tags'),
  ];
  const isOwn = consistency?.strength === 'given' || consistency?.strength === 'own';
  return {
    consistency: consistency?.value ?? 'auto',
    consistencyBy: consistency?.strength ?? 'usual',
    maxStillMs: maxStill?.value,
    stillTries: tries?.value,
    tags: tags?.value ?? [],
    excludes: excludes?.value ?? [],
    isExcluded: compileExcludes(excludes?.value ?? []),
    applications: {
      preset: preset?.value,
      dump: dump?.value,
      mustDump,
      hooks: hooks?.value,
      consistency: isOwn ? consistency.value : undefined,
    },
    said: [
      ...toldOf('consistency', consistency, (value) => value),
      ...toldOf('max-still', maxStill, describeMaxStill),
      ...toldOf('still-tries', tries, (value) => String(value)),
      ...toldOf('preset', preset, (value) => value),
      ...toldOf('dump', dump, (value) => value),
      ...toldOf('hooks', hooks, (value) => value.map(describeHook)),
      ...toldOf('exclude', excludes, (value) => value),
      ...toldOf('tags', tags, (value) => value),
    ],
  };
}

interface Found<Name extends keyof SettingFields> extends Pick<SettingsLayer, 'strength' | 'from'> {
  readonly value: NonNullable<SettingFields[Name]>;
}

function toldOf<Name extends keyof SettingFields>(
  name: string,
  found: Found<Name> | undefined,
  inWords: (value: Found<Name>['value']) => SaidSetting['value'],
): SaidSetting[] {
  return found === undefined ? [] : [{ name, value: inWords(found.value), from: found.from }];
}

function describeHook({ moment, command }: Hook): string {
  return `${moment}: ${command.join(' ')}`;
}
