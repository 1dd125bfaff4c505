import type { Container } from '../../hosts/containers.ts';
import { enabledBy, type LabelSettings, layerLabels, speaksOf } from '../../model/label-settings.ts';
import { readLabels } from '../../model/labels.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import {
  type ComposeSetting,
  type ComposeSettings,
  layeredSetting,
  noComposeSetting,
  readComposeSettings,
} from './compose-settings.ts';
import { ownLabels, ownStack, settingsOfContainer } from '../../quiesce/index.ts';
import { settingsOfLabels } from './settings-of-labels.ts';
import type { VolumeSettings } from './volume-settings.ts';

/** The settings from one place. */
export interface SettingLayer {
  /** For people: `a label of the container "web"`. */
  readonly from: string;
  readonly settings: VolumeSettings;
}

/** What labels and `x-holdfast` set for a volume. */
export interface Said {
  readonly stack: string | undefined;
  /** Strongest first: labels of the volume, of its containers, `x-holdfast` of volume, services, stack. */
  readonly layers: readonly SettingLayer[];
  readonly enabled: boolean | undefined;
  readonly policies: readonly string[] | undefined;
  /** Labels that are unknown, or whose names are invalid. */
  readonly labelWarnings: readonly string[];
  /** Labels with invalid values. */
  readonly settingWarnings: readonly string[];
}

export interface Around {
  readonly containers: readonly Container[];
  /** By stack. */
  readonly compose: ReadonlyMap<string, ComposeSettings>;
}

/** What was set for a volume or a bind mount, and where; pure. */
export function saidOf(
  volume: Pick<Volume, 'name' | 'labels' | 'stack'>,
  { containers, compose }: Around,
  mounted: 'volume' | 'bind' = 'volume',
): Said {
  const { name, labels } = volume;
  const users = containers.filter(({ mounts }) =>
    mounts.some(({ type, source }) => type === mounted && source === name),
  );
  const stack = volume.stack ?? stackOf(users);
  const own = readLabels(labels, { kind: 'volume', name });
  const theirs = users.map(settingsOfContainer);
  const speakers = [
    { from: 'a label of the volume', labelSettings: own },
    ...users.flatMap((user, i) => {
      const labelSettings = theirs[i];
      return labelSettings === undefined || !speaksOf(labelSettings, name)
        ? []
        : [{ from: `a label of the container ${quote(user.name)}`, labelSettings }];
    }),
  ];
  const all = speakers.map(({ labelSettings }) => labelSettings).reduce(layerLabels);
  const byLabels = labelLayers(speakers, quote(name));
  const byFiles = composeLayers({ labels, stack }, users, compose);
  const file = byFiles.map(({ request }) => request).reduce(layeredSetting, noComposeSetting);
  return {
    stack,
    layers: [
      ...byLabels.layers,
      ...byFiles.map(({ from, request }) => ({ from, settings: request.settings })),
    ],
    enabled: enabledBy(own, theirs, name) ?? file.backup,
    policies: all.policies ?? file.policies,
    labelWarnings: all.warnings,
    settingWarnings: byLabels.warnings,
  };
}

/** An anonymous volume, or one that Compose calls external, belongs to the only stack that uses it. */
function stackOf(users: readonly Container[]): string | undefined {
  const stacks = new Set(users.map(({ stack }) => stack));
  return stacks.size === 1 ? users[0]?.stack : undefined;
}

interface Speaker {
  readonly from: string;
  readonly labelSettings: LabelSettings;
}

function labelLayers(
  speakers: readonly Speaker[],
  name: string,
): { readonly layers: readonly SettingLayer[]; readonly warnings: readonly string[] } {
  // The keep rules are one setting with a label for each rule: they count together, wherever they are set.
  const keep = speakers
    .map(({ labelSettings }) => textsOf(labelSettings, (text) => text.startsWith('keep.')))
    .reduce((stronger, weaker) => ({ ...weaker, ...stronger }), {});
  const read = speakers.map(({ from, labelSettings }, i) => {
    const texts = {
      ...textsOf(labelSettings, (text) => !text.startsWith('keep.')),
      ...(i === 0 ? keep : {}),
    };
    const { settings, warnings } = settingsOfLabels(texts, name);
    return {
      from,
      settings: { ...settings, preset: labelSettings.preset, dump: labelSettings.dump },
      warnings,
    };
  });
  return {
    layers: read.map(({ from, settings }) => ({ from, settings })),
    warnings: read.flatMap(({ warnings }) => warnings),
  };
}

function textsOf({ settings }: LabelSettings, isWanted: (name: string) => boolean): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => isWanted(name)));
}

interface FileLayer {
  readonly from: string;
  readonly request: ComposeSetting;
}

function composeLayers(
  { labels, stack }: Pick<Volume, 'labels' | 'stack'>,
  users: readonly Container[],
  compose: Around['compose'],
): FileLayer[] {
  const labelSettings = stack === undefined ? undefined : compose.get(stack);
  if (stack === undefined || labelSettings === undefined) return [];
  const key = labels['com.docker.compose.volume'];
  const own = key === undefined ? undefined : labelSettings.volumes.get(key);
  const services = new Set(users.flatMap(({ service }) => service ?? []));
  return [
    ...(own === undefined ? [] : [{ from: '"x-holdfast" of the volume', request: own }]),
    ...[...services].flatMap((service) => {
      const request = labelSettings.services.get(service);
      return request === undefined
        ? []
        : [{ from: `"x-holdfast" of the service ${quote(service)}`, request }];
    }),
    { from: `"x-holdfast" of the stack ${quote(stack)}`, request: labelSettings.stack },
  ];
}

/** By stack. Its containers name the files that it was made from. */
export async function readStackFiles(
  containers: readonly Container[],
): Promise<ReadonlyMap<string, ComposeSettings>> {
  const files = new Map<string, Set<string>>();
  for (const container of containers) {
    const stack = ownStack(container);
    const named = ownLabels(container)['com.docker.compose.project.config_files'];
    if (stack === undefined || named === undefined) continue;
    const known = files.get(stack) ?? new Set();
    for (const file of named.split(',')) if (file.startsWith('/')) known.add(file);
    files.set(stack, known);
  }
  const found = new Map<string, ComposeSettings>();
  for (const [stack, names] of files) found.set(stack, await readComposeSettings([...names]));
  return found;
}
