import path from 'node:path';
import type { Container, ContainerMount } from '../../hosts/containers.ts';
import type { HostInfo } from '../../hosts/host.ts';
import { isWithin } from '../../model/clean-path.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import type { Remark } from './diagnosis.ts';

/** A mount of a container, and where its data lies on this machine. */
export interface PatientMount {
  readonly container: Container;
  readonly mount: ContainerMount;
  /** Undefined for what has no place here: a tmpfs, an engine on another machine. */
  readonly hostPath: string | undefined;
  readonly volume: Volume | undefined;
  /** Other containers that mount the same. */
  readonly others: readonly Container[];
  /** Other containers that mount this, or something below it; or more of the same volume. */
  readonly affected: readonly Container[];
  /** A path below the mount that was asked for; '' for the mount itself. */
  readonly below: string;
}

/** Everything that is looked at. */
export interface Patients {
  readonly host: HostInfo | undefined;
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
  readonly mounts: readonly PatientMount[];
  /** All mounts of these containers. */
  readonly around: readonly PatientMount[];
  /** A path of this machine that was asked for. */
  readonly path: string | undefined;
  /** Something was asked for by its name: what is uncertain is told then, too. */
  readonly isAsked: boolean;
}

/** The mounts that a question is about, of all there are; pure. Empty lists for a name that nothing has. */
export function choosePatients(
  all: {
    readonly host: HostInfo | undefined;
    readonly containers: readonly Container[];
    readonly volumes: readonly Volume[];
  },
  asked: string | undefined,
): Patients {
  const { host, containers, volumes } = all;
  const placed = containers.flatMap((container) =>
    container.mounts.map((mount) => placeMount(container, mount, all)),
  );
  const mounts = placed.map((mount): PatientMount => ({
    ...mount,
    affected: mount.hostPath === undefined ? mount.others : affectedBelow(mount.hostPath, mount, placed),
    below: '',
  }));
  if (asked === undefined)
    return { host, containers, volumes, mounts, around: mounts, path: undefined, isAsked: false };
  if (/[/.]/.test(asked[0] ?? '')) return ofPath({ host, volumes, mounts }, path.resolve(asked));
  const named = containers.filter(({ name, id }) => name === asked || isShortId(asked, id));
  const ofVolume = mounts.filter(
    ({ volume, container }) => volume?.name === asked || named.includes(container),
  );
  const chosen = unique([...named, ...ofVolume.map(({ container }) => container)]);
  return {
    host,
    containers: chosen,
    volumes: unique([
      ...volumes.filter(({ name }) => name === asked),
      ...ofVolume.flatMap(({ volume }) => volume ?? []),
    ]),
    mounts: ofVolume,
    around: mounts.filter(({ container }) => chosen.includes(container)),
    path: undefined,
    isAsked: true,
  };
}

/** The volumes and bind mounts that a path lies in, or that lie in it. */
function ofPath(
  { host, volumes, mounts }: Pick<Patients, 'host' | 'volumes' | 'mounts'>,
  asked: string,
): Patients {
  const chosen = mounts.flatMap((mount): PatientMount[] => {
    if (mount.hostPath === undefined) return [];
    if (isWithin(asked, mount.hostPath)) return [{ ...mount, below: path.relative(mount.hostPath, asked) }];
    return isWithin(mount.hostPath, asked) ? [mount] : [];
  });
  const containers = unique(chosen.map(({ container }) => container));
  return {
    host,
    containers,
    volumes: volumes.filter(
      ({ mountpoint }) =>
        mountpoint !== undefined && (isWithin(asked, mountpoint) || isWithin(mountpoint, asked)),
    ),
    mounts: chosen,
    around: mounts.filter(({ container }) => containers.includes(container)),
    path: asked,
    isAsked: true,
  };
}

type PlacedMount = Omit<PatientMount, 'affected' | 'below'>;

function affectedBelow(
  place: string,
  { container, volume }: PlacedMount,
  placed: readonly PlacedMount[],
): readonly Container[] {
  return unique(
    placed.flatMap((other) => {
      if (other.container === container || other.hostPath === undefined) return [];
      // What mounts the whole of a volume works with each of its folders.
      const isAbove = volume !== undefined && other.volume === volume && isWithin(place, other.hostPath);
      return isAbove || isWithin(other.hostPath, place) ? [other.container] : [];
    }),
  );
}

function placeMount(
  container: Container,
  mount: ContainerMount,
  { host, containers, volumes }: Pick<Patients, 'host' | 'containers' | 'volumes'>,
): PlacedMount {
  const volume = mount.type === 'volume' ? volumes.find(({ name }) => name === mount.source) : undefined;
  const place =
    mount.type === 'volume'
      ? volume?.mountpoint && path.join(volume.mountpoint, mount.subpath ?? '')
      : mount.type === 'bind'
        ? mount.source
        : undefined;
  return {
    container,
    mount,
    volume,
    hostPath:
      host?.isRemote === true || place === undefined || !path.isAbsolute(place)
        ? undefined
        : path.normalize(place),
    others:
      mount.source === undefined
        ? []
        : containers.filter(
            (other) =>
              other.id !== container.id &&
              other.mounts.some(({ type, source }) => type === mount.type && source === mount.source),
          ),
  };
}

function isShortId(asked: string, id: string): boolean {
  return asked.length >= 12 && id.startsWith(asked);
}

function unique<T>(list: readonly T[]): T[] {
  return [...new Set(list)];
}

/** For remarks. */
export function subjectOf({ container, mount }: Pick<PatientMount, 'container' | 'mount'>): string {
  return `${quote(mount.destination)} of ${quote(container.name)}`;
}

/** Parts of the machine that are mounted belong to it, and are as it wants them. */
export function isOfMachine({ hostPath, mount }: Pick<PatientMount, 'hostPath' | 'mount'>): boolean {
  return (
    mount.type === 'bind' && /^\/(?:proc|sys|dev|run|var\/run|boot|usr|lib|etc)(?:\/|$)/.test(hostPath ?? '')
  );
}

/** Whole trees of the machine, and folders in which those of many programs and users lie. */
const ofSystem = [
  /^\/(?:bin|boot|dev|etc|lib\d*|proc|root\/\.ssh|run|sbin|sys|usr)(?:\/|$)/,
  /^\/var\/(?:run|spool)(?:\/|$)/,
  /^\/var\/lib\/(?:apt|dbus|dpkg|machines|pam|private|rpm|snapd|sudo|systemd)(?:\/|$)/,
  // An engine's own folders, but for the data of a volume.
  /^\/var\/lib\/(?:containerd|containers|docker|kubelet)(?:\/(?!(?:storage\/)?volumes\/[^/]+\/)|$)/,
  /^(?:\/|\/(?:home|media|mnt|opt|root|srv|tmp|var)|\/var\/(?:cache|db|lib|log|mail|tmp)|\/home\/[^/]+)$/,
];

/** Changing who may do what there changes the machine, whichever container has it mounted. Pure. */
export function isOfSystem(place: string): boolean {
  const clean = path.normalize(`${place}/.`);
  return ofSystem.some((pattern) => pattern.test(clean));
}

/** Of containers that were asked for and do not run, what only a running one shows; pure. */
export function unjudged({ isAsked, containers }: Patients): Remark[] {
  if (!isAsked) return [];
  return containers.flatMap(({ name, pid, state, exitCode }) =>
    pid !== undefined
      ? []
      : [
          {
            subject: `what ${quote(name)} meets while it runs`,
            reason: `it is ${state}${state === 'exited' && exitCode !== undefined ? ` (${exitCode})` : ''}, and only its mounts were looked at`,
          },
        ],
  );
}

/** It fails, by what the engine says. */
export function isUnwell({ container }: Pick<PatientMount, 'container'>): boolean {
  const { state, exitCode = 0, health } = container;
  const hasFailed = state === 'exited' && exitCode !== 0;
  return state === 'restarting' || state === 'dead' || health === 'unhealthy' || hasFailed;
}
