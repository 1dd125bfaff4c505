import type { Hook } from './hook.ts';

/** The backup settings in the labels of a volume or a container. Undefined means not set. */
export interface LabelSettings {
  /** False excludes it from backups of everything. */
  readonly enabled: boolean | undefined;
  /**
   * On a container: to which of its volumes the settings apply, by parts of names or paths; undefined for
   * all.
   */
  readonly volumes: VolumeChoice | undefined;
  readonly policies: readonly string[] | undefined;
  /**
   * Further settings of `holdfast.yaml` for a volume, as texts by the same names: `schedule`, `keep.daily`.
   */
  readonly settings: Readonly<Record<string, string>>;
  /** On a container: how to make it still, independently of the others. */
  readonly stillness: Stillness | undefined;
  /** Containers of one group are made still together, whichever of their volumes is backed up. */
  readonly groups: readonly string[];
  /** The preset's name, `auto`, or `none`. A named preset must succeed. */
  readonly preset: string | undefined;
  /** Adds a dump by the database's own client to its files. */
  readonly dump: boolean | undefined;
  readonly hooks: readonly Hook[];
  /** What is not understood, or has no meaning here. */
  readonly warnings: readonly string[];
}

export type Stillness = 'stop' | 'pause' | 'run';

export interface VolumeChoice {
  /** Empty for all. */
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

/** Fills gaps of the stronger settings from the weaker. Hooks, groups and warnings of both are kept. Pure. */
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

/** True when a container's labels apply to a volume name or host path that it mounts. Pure. */
export function speaksOf(said: LabelSettings, source: string): boolean {
  const { include = [], exclude = [] } = said.volumes ?? {};
  if (exclude.some((part) => source.includes(part))) return false;
  return include.length === 0 || include.some((part) => source.includes(part));
}

/**
 * Whether to back up a volume; undefined when no label says. Its own label decides first. Its containers
 * exclude it only when all of them do: one container without a backup of its own does not decide for the
 * others. Pure.
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
