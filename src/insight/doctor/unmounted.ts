import { readFileSync, realpathSync } from 'node:fs';
import type { Container } from '../../hosts/containers.ts';
import { type MountPoint, mountAt } from '../../lib/mountinfo.ts';
import { fromText } from '../../model/byte-string.ts';
import { isWithin } from '../../model/clean-path.ts';
import { quote } from '../../model/quote.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';
import type { MountAnswer } from './mount-answers.ts';
import type { Place } from './places.ts';

/**
 * Where a file system belongs, by `/etc/fstab`, that a path would lie on and that is not mounted: the data is
 * there, and a folder made in its place would hide that.
 */
export function unmountedOver(
  place: string,
  mounts: readonly MountPoint[],
  table = '/etc/fstab',
): string | undefined {
  return unmounted(placesIn(table), mounts).find(({ at }) => isWithin(place, at))?.at;
}

/**
 * Places on file systems of `/etc/fstab` that are not mounted, and at which there is something all the same: an engine
 * makes an empty folder there for a container that it starts, and the application begins anew in it.
 */
export function diagnoseUnmounted(
  places: readonly Place[],
  {
    answers,
    machine,
    isAsked,
    dataRoot,
    containers,
    table = '/etc/fstab',
  }: {
    readonly answers: ReadonlyMap<string, MountAnswer>;
    readonly machine: readonly MountPoint[];
    readonly isAsked: boolean;
    /** The engine's, where it is of this machine. */
    readonly dataRoot: string | undefined;
    readonly containers: readonly Container[];
    readonly table?: string;
  },
): Diagnosis {
  const findings = unmounted(placesIn(table), machine)
    // A disk that is mounted by hand need not be there.
    .filter(({ isAutomatic }) => isAutomatic || isAsked)
    .flatMap(({ at }) => {
      const below = places.filter(({ path }) => isWithin(path, at) && answers.get(path)?.kind === 'room');
      if (below.length === 0 || isMountedElsewhere(at, machine)) return [];
      const isEngines = dataRoot !== undefined && isWithin(dataRoot, at);
      const names = new Set(below.flatMap((place) => place.containers));
      const running = containers.filter(({ name, pid }) => pid !== undefined && names.has(name));
      return [notMounted(at, { below, isEngines, running: running.map(({ name }) => name) })];
    });
  return { findings, notLookedAt: [] };
}

/** A link on the way is followed by "mount". What lies below the path has answered, so that this does not wait. */
function isMountedElsewhere(at: string, machine: readonly MountPoint[]): boolean {
  try {
    return mountAt(machine, fromText(realpathSync(at))) !== undefined;
  } catch {
    return false;
  }
}

function notMounted(
  at: string,
  {
    below,
    isEngines,
    running,
  }: { readonly below: readonly Place[]; readonly isEngines: boolean; readonly running: readonly string[] },
): DoctorFinding {
  const around = (verb: string): string[][] => {
    if (isEngines) return [['systemctl', verb, ...(verb === 'stop' ? ['docker.socket'] : []), 'docker']];
    return running.length === 0 ? [] : [['docker', verb, ...running]];
  };
  return {
    id: 'HF-D018',
    rule: 'disk-not-mounted',
    severity: 'loss',
    subject: { kind: 'mount', name: at },
    message: `${quote(at)} of /etc/fstab is not mounted, and what is to lie on it is used all the same`,
    meaning:
      'Applications find an empty folder, or an old one, in the place of their data, and may begin anew in it. What they write is on another disk, and hidden as soon as the right one is mounted.',
    evidence: below.slice(0, 20).map(({ path, owner }) => `${quote(path)} of ${owner} lies below it`),
    remedy:
      'Stop what uses it, mount the file system, and start it again. Before that, move away what was written there meanwhile, if it is needed.',
    commands: [...around('stop'), ['mount', at], ...around('start')],
    position: undefined,
    fix: undefined,
  };
}

interface TableEntry {
  readonly at: string;
  /** Mounted at each boot. */
  readonly isAutomatic: boolean;
}

function unmounted(entries: readonly TableEntry[], mounts: readonly MountPoint[]): TableEntry[] {
  return entries.filter(({ at }) => at !== '/' && mountAt(mounts, fromText(at)) === undefined);
}

function placesIn(table: string): TableEntry[] {
  let text: string;
  try {
    text = readFileSync(table, 'utf8');
  } catch {
    // A container has none.
    return [];
  }
  return text.split('\n').flatMap((line) => {
    const [, at = '', options = ''] = /^\s*[^#\s]\S*\s+(\/\S*)(?:\s+\S+\s+(\S+))?/.exec(line) ?? [];
    // Blanks are written as \040.
    const place = at.replace(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
    const isAutomatic = !options.split(',').includes('noauto');
    return place === '' ? [] : [{ at: place.replace(/(.)\/+$/, '$1'), isAutomatic }];
  });
}
