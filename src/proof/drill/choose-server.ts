import type { Container } from '../../hosts/containers.ts';
import type { ConfigRecord, VolumeDescription } from '../../model/snapshot.ts';
import { quote } from '../../model/quote.ts';
import type { Consumer } from '../../model/volume.ts';
import { isSavedConfig } from '../../backup/index.ts';
import { findPreset, type DiskEvidence, type FoundPreset } from '../../quiesce/index.ts';

/** How a trial starts a container. */
export interface ServerPlan {
  /** The container's own name, and its alias in the stack. */
  readonly name: string;
  readonly alias: string;
  readonly image: string;
  /** The image's name, for display. */
  readonly imageName: string;
  readonly command: readonly string[] | undefined;
  readonly entrypoint: readonly string[] | undefined;
  readonly user: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  /** The existing container; undefined when it is gone. */
  readonly live: Container | undefined;
  /** Where it mounts the volume. */
  readonly mountPath: string;
  readonly found: FoundPreset | undefined;
  /** Its host mounts that the snapshot holds beside the data: the trial has them too. */
  readonly binds: readonly Bind[];
  /** In words: its mounts that the snapshots do not hold. */
  readonly lacks: readonly string[];
}

export interface Bind {
  readonly source: string;
  readonly destination: string;
}

export interface ServerSubject {
  readonly volume: VolumeDescription;
  /** Evidence in the restored data. */
  readonly disk: DiskEvidence;
  /** The containers that exist now. */
  readonly containers: readonly Container[];
  /** Names of the volumes and directories that the trial restores. */
  readonly restored: ReadonlySet<string>;
  /** What the snapshot holds beside the data for its containers. */
  readonly config: ConfigRecord | undefined;
}

/**
 * The container to start on a restored volume: the database that the data belongs to, else one that writes
 * there. The image is the recorded one; the existing container says how to start it. Pure.
 */
export function chooseServer(subject: ServerSubject): ServerPlan | undefined {
  const { volume, containers } = subject;
  const live = containers.flatMap((container) => {
    const mount = container.mounts.find((one) => isMountOf(one, volume));
    return mount === undefined ? [] : [fromLive(subject, container, mount)];
  });
  const known = new Set(live.map(({ plan }) => plan.name));
  const recorded = volume.consumers
    .filter(({ name }) => !known.has(name))
    .map((consumer) => fromRecord(subject, consumer));
  return [...live, ...recorded].toSorted((a, b) => b.rank - a.rank)[0]?.plan;
}

interface Candidate {
  readonly plan: ServerPlan;
  readonly rank: number;
}

function isMountOf(mount: Container['mounts'][number], volume: VolumeDescription): boolean {
  const isOfKind = volume.kind === 'volume' ? mount.type === 'volume' : mount.type === 'bind';
  return isOfKind && mount.source === volume.name;
}

function fromLive(
  subject: ServerSubject,
  container: Container,
  mount: Container['mounts'][number],
): Candidate {
  const { volume, disk, restored } = subject;
  const { name, service } = container;
  const before = volume.consumers.find((consumer) => isSame(consumer, container));
  // Upgraded since: the data is the older image's.
  const isOther = before !== undefined && before.image !== container.image;
  const mountPath = mount.destination;
  const imageName = isOther ? before.image : container.image;
  const found = findPreset({ container: { ...container, image: imageName }, mountPath, disk });
  const binds = container.mounts.flatMap(({ type, source, destination }) =>
    type === 'bind' && source !== undefined ? [{ source, destination }] : [],
  );
  const lacks = container.mounts.flatMap(({ type, source = '', destination }) => {
    if (type === 'other') return [destination];
    return type === 'volume' && !restored.has(source) ? [`the volume ${quote(source)}`] : [];
  });
  const split = splitBinds(binds, subject);
  return {
    plan: {
      name,
      alias: service ?? name,
      image: isOther ? before.image : container.imageId,
      imageName,
      ...startOfThen(volume, container, isOther),
      live: container,
      mountPath,
      found,
      binds: split.binds,
      lacks: [...lacks, ...split.lacks],
    },
    rank: rankOf(found, mount.readOnly) + 1,
  };
}

/**
 * Another version of an image has other variables: the recorded ones apply. Secrets, which are not recorded,
 * stay as they are now.
 */
function startOfThen(
  { starts }: VolumeDescription,
  { name, command, entrypoint, user, environment }: Container,
  isOther: boolean,
): Pick<ServerPlan, 'command' | 'entrypoint' | 'user' | 'environment'> {
  if (!isOther) return { command, entrypoint, user, environment };
  const then = starts?.find((start) => start.name === name);
  const lasting = Object.entries(environment).filter(([key]) => !ofImages.test(key));
  return {
    command: then?.command,
    entrypoint: then?.entrypoint,
    user: then?.user ?? user,
    environment: { ...Object.fromEntries(lasting), ...then?.environment },
  };
}

/** Variables that images set to match their content. */
const ofImages = /^(?:PATH|GOSU_VERSION|.*_(?:VERSION|MAJOR|SHA256|SHA512))$/;

function fromRecord(subject: ServerSubject, consumer: Consumer): Candidate {
  const { volume, disk } = subject;
  const { name, service, image, path } = consumer;
  const start = volume.starts?.find((one) => one.name === name);
  const { environment = {}, command = [] } = start ?? {};
  const found = findPreset({ container: { image, environment, command }, mountPath: path, disk });
  return {
    plan: {
      name,
      alias: service ?? name,
      image,
      imageName: image,
      command: start?.command,
      entrypoint: start?.entrypoint,
      user: start?.user,
      environment,
      live: undefined,
      mountPath: path,
      found,
      // Earlier versions did not record the other mounts.
      ...(start?.binds === undefined
        ? { binds: [], lacks: ['what else it mounted'] }
        : splitBinds(start.binds, subject)),
    },
    rank: rankOf(found, consumer.readOnly),
  };
}

/** Containers run without these as well. */
const clocks = /^\/etc\/(?:localtime|timezone)$/;

/** Excludes restored directories, which the container may mount. */
function splitBinds(
  all: readonly Bind[],
  { restored, config }: Pick<ServerSubject, 'restored' | 'config'>,
): { readonly binds: readonly Bind[]; readonly lacks: readonly string[] } {
  const isSaved = ({ source }: Bind): boolean => config !== undefined && isSavedConfig(config, source);
  const binds = all.filter(({ source }) => !restored.has(source));
  return {
    binds: binds.filter(isSaved),
    lacks: binds.filter((bind) => !isSaved(bind) && !clocks.test(bind.source)).map(({ source }) => source),
  };
}

function isSame(consumer: Consumer, { stack, service, name }: Container): boolean {
  return (
    consumer.name === name ||
    (stack !== undefined && consumer.stack === stack && consumer.service === service)
  );
}

/**
 * Ranks a database that image and disk both show over one that only one of them shows, and both over a
 * container that merely mounts the volume.
 */
function rankOf(found: FoundPreset | undefined, isReadOnly: boolean): number {
  const known = found === undefined ? 0 : { both: 3, image: 2, disk: 1 }[found.recognition.by];
  return known * 4 + (isReadOnly ? 0 : 2);
}
