import type { Hook } from './hook.ts';

/** What labels of a volume or a container say about its backups. Undefined is not said. */
export interface LabelSettings {
  /** False leaves it out of backups of everything. */
  readonly enabled: boolean | undefined;
  /** Of a container: which of its volumes it speaks of, by parts of their names or paths; undefined is all. */
  readonly volumes: VolumeChoice | undefined;
  /** Names of policies. */
  readonly policies: readonly string[] | undefined;
  /** What `holdfast.yaml` may say for a volume too, as texts by the same names: `schedule`, `keep.daily`. */
  readonly settings: Readonly<Record<string, string>>;
  /** Of a container: how it is made still, whatever the others are. */
  readonly stillness: Stillness | undefined;
  /** Containers of one group are made still together, whichever of their volumes is backed up. */
  readonly groups: readonly string[];
  /** The preset's name, `auto`, or `none`. One that is named has to work. */
  readonly preset: string | undefined;
  /** A dump by the database's own client beside its files. */
  readonly dump: boolean | undefined;
  readonly hooks: readonly Hook[];
  /** What is not understood, or has no meaning here: for people. */
  readonly warnings: readonly string[];
}

export type Stillness = 'stop' | 'pause' | 'run';

export interface VolumeChoice {
  /** Empty is all. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

export const noLabelSettings: LabelSettings = {
  enabled: undefined,
  volumes: undefined,
  policies: undefined,
  settings: {},
  stillness: undefined,
  groups: [],
  preset: undefined,
  dump: undefined,
  hooks: [],
  warnings: [],
};

/** What the stronger does not say, the weaker says. Hooks, groups and warnings of both count. Pure. */
export function layerLabels(stronger: LabelSettings, weaker: LabelSettings): LabelSettings {
  return {
    enabled: stronger.enabled ?? weaker.enabled,
    volumes: stronger.volumes ?? weaker.volumes,
    policies: stronger.policies ?? weaker.policies,
    settings: { ...weaker.settings, ...stronger.settings },
    stillness: stronger.stillness ?? weaker.stillness,
    groups: [...new Set([...stronger.groups, ...weaker.groups])],
    preset: stronger.preset ?? weaker.preset,
    dump: stronger.dump ?? weaker.dump,
    hooks: [...stronger.hooks, ...weaker.hooks],
    warnings: [...stronger.warnings, ...weaker.warnings],
  };
}

/** True when a container's labels speak of the volume that it mounts from there: its name, or a host path. Pure. */
export function speaksOf(said: LabelSettings, source: string): boolean {
  const { include = [], exclude = [] } = said.volumes ?? {};
  if (exclude.some((part) => source.includes(part))) return false;
  return include.length === 0 || include.some((part) => source.includes(part));
}

/**
 * Whether a volume is to be backed up; undefined when nothing says so. What it says itself counts first. Its containers leave
 * it out only when all of them do: one that wants no backup of its own does not decide for the others. Pure.
 */
export function enabledBy(
  own: LabelSettings,
  users: readonly LabelSettings[],
  source: string,
): boolean | undefined {
  if (own.enabled !== undefined) return own.enabled;
  const said = users.map((one) => (speaksOf(one, source) ? one.enabled : undefined));
  if (said.includes(true)) return true;
  return said.length > 0 && said.every((enabled) => enabled === false) ? false : undefined;
}
