import type { Container } from '../../hosts/containers.ts';
import { type ConsistencyMode, consistencyModes } from '../../model/consistency.ts';
import { AppError } from '../../model/errors.ts';
import {
  type LabelSettings,
  layerLabels,
  noLabelSettings,
  speaksOf,
  type Stillness,
} from '../../model/label-settings.ts';
import { readLabels } from '../../model/labels.ts';
import { quote } from '../../model/quote.ts';
import { ownStack, settingsOfContainer } from '../container-labels.ts';
import { chooseHooks, type PlannedHook } from '../hooks/choose-hooks.ts';
import { findPreset, presetOf } from './find-presets.ts';
import type { DiskEvidence, Preset, Recognition } from './preset.ts';
import type { Hook } from '../../model/hook.ts';

/** What the command line, labels and policies ask for one volume; for each setting, the strongest. */
export interface ApplicationSettings {
  readonly preset?: string | undefined;
  readonly dump?: boolean | undefined;
  /**
   * A dump that nothing can make because no server runs is an error; otherwise the files are enough, as no
   * container writes to them.
   */
  readonly mustDump?: boolean | undefined;
  readonly hooks?: readonly Hook[] | undefined;
  /** How it is kept still, where the command line, labels or `x-holdfast` say so. */
  readonly consistency?: ConsistencyMode | undefined;
}

/** A volume or directory that is to be backed up, with what is known of it. */
export interface ApplicationVolume {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly stack: string | undefined;
  /** All containers that see its data, running or not. */
  readonly containers: readonly Container[];
  /** Undefined when it was not looked at. */
  readonly disk: DiskEvidence | undefined;
  /** Settings for it; stronger than labels. */
  readonly settings?: ApplicationSettings | undefined;
  /** Invalid values in its labels were reported already. */
  readonly isTold?: boolean | undefined;
}

/** A database that is to be made consistent. */
export interface PlannedServer {
  readonly volume: string;
  readonly preset: Preset;
  readonly recognition: Recognition;
  readonly container: Container;
  readonly mountPath: string;
  /** It was asked for by name, so its failure fails the backup. Otherwise the backup goes on without it. */
  readonly isWanted: boolean;
  readonly dump: boolean;
}

export interface ApplicationPlan {
  readonly servers: readonly PlannedServer[];
  readonly hooks: readonly PlannedHook[];
  /** By container id: what labels ask. */
  readonly stillness: ReadonlyMap<string, Stillness>;
  /** By volume: the mode that labels ask for the volume itself, not for its containers. */
  readonly consistency: ReadonlyMap<string, ConsistencyMode>;
  /** Containers that use none of the volumes, and share a group with one that does. */
  readonly companions: readonly Container[];
  readonly warnings: readonly string[];
}

/** Which presets, hooks and labels apply to a backup of these volumes; pure. `all`: the host's containers. */
export function planApplication(
  volumes: readonly ApplicationVolume[],
  all: readonly Container[],
): ApplicationPlan {
  const read = volumes.map((volume) => readVolume(volume));
  const using = new Map(volumes.flatMap(({ containers }) => containers.map((one) => [one.id, one] as const)));
  const settingsOf = new Map(all.map((container) => [container.id, settingsOfContainer(container)]));
  const groups = new Set([...using.keys()].flatMap((id) => settingsOf.get(id)?.groups ?? []));
  const companions = all.filter(
    ({ id }) => !using.has(id) && settingsOf.get(id)?.groups.some((group) => groups.has(group)),
  );
  const touched = [...using.values(), ...companions];
  return {
    servers: read.flatMap(({ volume, labels, users }) => planServers(volume, labels, users)),
    hooks: chooseHooks(
      [
        ...read.map(({ volume, own }) => ({
          hooks: own.hooks,
          container: undefined,
          stack: stackOf(volume),
        })),
        ...touched.map((container) => ({
          hooks: settingsOf.get(container.id)?.hooks ?? [],
          container,
          stack: ownStack(container),
        })),
      ],
      all,
    ),
    stillness: new Map([
      ...read.flatMap(({ labels, users }) => stillnessBy(labels, users)),
      ...touched.flatMap(({ id }) => {
        const stillness = settingsOf.get(id)?.stillness;
        return stillness === undefined ? [] : [[id, stillness] as const];
      }),
    ]),
    consistency: new Map(
      read.flatMap(({ volume, labels }) => {
        const request = consistencyOf(labels);
        return request === undefined || asStillness[request] ? [] : [[volume.name, request] as const];
      }),
    ),
    companions,
    warnings: [
      ...new Set([
        ...read.flatMap(({ own }) => own.warnings),
        ...read.flatMap(({ volume, labels }) =>
          volume.isTold === true ? [] : warningOf(volume.name, labels),
        ),
        ...touched.flatMap(({ id }) => settingsOf.get(id)?.warnings ?? []),
      ]),
    ],
  };
}

/** An anonymous volume, or one that Compose calls external, belongs to the only stack that uses it. */
function stackOf({ name, stack, containers }: ApplicationVolume): string | undefined {
  if (stack !== undefined) return stack;
  const users = containers.filter(({ mounts }) =>
    mounts.some(({ type, source }) => type === 'volume' && source === name),
  );
  const [first, ...others] = new Set(users.map(ownStack));
  return others.length === 0 ? first : undefined;
}

/** Modes that concern each container on its own: a stack's other volumes need not follow. */
const asStillness: Partial<Readonly<Record<ConsistencyMode, Stillness>>> = { stop: 'stop', live: 'run' };

function stillnessBy(labels: LabelSettings, users: readonly Container[]): (readonly [string, Stillness])[] {
  const stillness = asStillness[consistencyOf(labels) ?? 'auto'];
  return stillness === undefined ? [] : users.map(({ id }) => [id, stillness] as const);
}

function consistencyOf({ settings }: LabelSettings): ConsistencyMode | undefined {
  return consistencyModes.find((request) => request === settings['consistency']);
}

function warningOf(volume: string, labels: LabelSettings): string[] {
  const text = labels.settings['consistency'];
  if (text === undefined || consistencyOf(labels) !== undefined) return [];
  const known = consistencyModes.join(', ');
  return [
    `The label "holdfast.consistency" of ${quote(volume)} is not understood: ${quote(text)} is none of ${known}`,
  ];
}

interface ReadVolume {
  readonly volume: ApplicationVolume;
  /** From the volume itself. */
  readonly own: LabelSettings;
  /** Including what its containers say of it. */
  readonly labels: LabelSettings;
  /** Containers whose labels mention it, and those without labels. */
  readonly users: readonly Container[];
}

function readVolume(volume: ApplicationVolume): ReadVolume {
  const { name, labels, containers } = volume;
  const { mustDump: _, consistency, ...asked } = volume.settings ?? {};
  const settings = consistency === undefined ? {} : { consistency };
  const said = Object.fromEntries(
    Object.entries(asked).filter(([, value]) => value !== undefined),
  ) as Partial<LabelSettings>;
  const own = layerLabels(
    { ...noLabelSettings, ...said, settings },
    readLabels(labels, { kind: 'volume', name }),
  );
  const users = containers.filter((container) => speaksOf(settingsOfContainer(container), name));
  const combined = users.reduce(
    (stronger, container) => layerLabels(stronger, settingsOfContainer(container)),
    own,
  );
  return { volume, own, labels: combined, users };
}

function planServers(
  volume: ApplicationVolume,
  { preset: wanted, dump }: LabelSettings,
  users: readonly Container[],
): PlannedServer[] {
  if (wanted === 'none') return [];
  const named = wanted === undefined || wanted === 'auto' ? undefined : presetOf(wanted);
  const candidates = users
    .filter(({ state }) => state === 'running')
    .flatMap((container) => {
      const mountPath = mountOf(container, volume.name);
      if (mountPath === undefined) return [];
      const subject = { container, mountPath, disk: volume.disk };
      const found = named
        ? { preset: named, recognition: named.recognises(subject) ?? unrecognised(volume.name) }
        : findPreset(subject);
      return found ? [{ ...found, container, mountPath }] : [];
    })
    .toSorted((a, b) => rank(b) - rank(a));
  const [best] = candidates;
  if (best === undefined) return [];
  return [
    { volume: volume.name, ...best, isWanted: named !== undefined || dump === true, dump: dump === true },
  ];
}

/** A user who names a preset knows better than the disk and the image. */
function unrecognised(volume: string): Recognition {
  return { by: 'image', folder: '', files: [], reason: `the label of ${quote(volume)}` };
}

interface Candidate {
  readonly recognition: Recognition;
  readonly container: Container;
  readonly mountPath: string;
}

/** The database's own container before others that mount its volume, and read-write before read-only. */
function rank({ recognition, container, mountPath }: Candidate): number {
  const mount = container.mounts.find(({ destination }) => destination === mountPath);
  return { both: 4, image: 2, disk: 0 }[recognition.by] + (mount?.readOnly === true ? 0 : 1);
}

/**
 * Where a container has the volume or directory mounted; undefined for one that has only another part of it.
 */
function mountOf({ mounts }: Container, source: string): string | undefined {
  return mounts.find((mount) => mount.source === source && (mount.type === 'volume' || mount.type === 'bind'))
    ?.destination;
}

/**
 * Throws for a requested dump that nothing can make; returns the volumes, for people, whose files are enough
 * because no container runs on them. Pure.
 */
export function findMissingDumps(plan: ApplicationPlan, volumes: readonly ApplicationVolume[]): string[] {
  return volumes.flatMap((volume) => {
    const { labels } = readVolume(volume);
    if (labels.dump !== true || plan.servers.some((server) => server.volume === volume.name)) return [];
    const runs = volume.containers.some(({ state }) => state === 'running' || state === 'restarting');
    if (!runs && volume.settings?.mustDump !== true)
      return [`${quote(volume.name)} is not dumped: no container of it runs. Its files are saved.`];
    throw new AppError(
      'unavailable',
      `Cannot dump ${quote(volume.name)}: no database runs on it that is known`,
      {
        hint: 'Start its container, name its kind with the label "holdfast.preset", or leave the dump out: "holdfast.dump=false".',
      },
    );
  });
}
