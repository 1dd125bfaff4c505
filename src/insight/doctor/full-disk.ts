import { type MountPoint, mountOver } from '../../lib/mountinfo.ts';
import { fromText, toText } from '../../model/byte-string.ts';
import { quote } from '../../model/quote.ts';
import { formatSize, grouped } from '../../model/size.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';
import type { MountAnswer, Room } from './mount-answers.ts';
import type { Place } from './places.ts';

/**
 * File systems, and limits of volumes, that have no room or no inodes left. The limits of the places in `told`
 * are another diagnosis's.
 */
export function diagnoseFull(
  places: readonly Place[],
  {
    answers,
    mounts,
    told,
  }: {
    readonly answers: ReadonlyMap<string, MountAnswer>;
    readonly mounts: readonly MountPoint[];
    readonly told: ReadonlySet<string>;
  },
): Diagnosis {
  const findings = new Map<string, DoctorFinding>();
  for (const place of places) {
    const answer = answers.get(place.path);
    const mount = mountOver(mounts, fromText(place.path));
    if (answer?.kind !== 'room' || mount === undefined || isFullByNature(mount)) continue;
    const { room } = answer;
    const whole = answers.get(toText(mount.path));
    const hasLimit = whole?.kind === 'room' && whole.room.totalBytes > room.totalBytes;
    if (hasLimit && told.has(place.path)) continue;
    const of = hasLimit ? place.path : toText(mount.path);
    const lack = lackOf(room);
    if (lack === undefined) continue;
    const seen = `${quote(place.path)} of ${place.owner}`;
    const known = findings.get(of);
    if (known !== undefined) findings.set(of, { ...known, evidence: [...known.evidence, seen].slice(0, 20) });
    else findings.set(of, findingOf(of, { lack, room, hasLimit, seen, mount }));
  }
  return { findings: [...findings.values()], notLookedAt: [] };
}

/** Images of what never changes have no free room, and want none. */
function isFullByNature({ isFilesystemReadOnly, type }: MountPoint): boolean {
  return isFilesystemReadOnly || /^(?:squashfs|iso9660|erofs|udf|overlay)/.test(type);
}

const leastBytes = 16 << 20;

/** What is missing, where an application fails soon; pure. */
export function lackOf({
  totalBytes,
  freeBytes,
  totalInodes,
  freeInodes,
}: Omit<Room, 'type'>): 'room' | 'inodes' | undefined {
  if (totalBytes === 0) return undefined;
  // Half a percent, and of small ones the least that a database writes at once.
  if (freeBytes < Math.min(Math.max(totalBytes / 200, leastBytes), totalBytes / 20)) return 'room';
  return totalInodes > 0 && freeInodes < Math.max(totalInodes / 200, 16) ? 'inodes' : undefined;
}

interface Lack {
  readonly lack: 'room' | 'inodes';
  readonly room: Room;
  readonly hasLimit: boolean;
  readonly seen: string;
  readonly mount: MountPoint;
}

function findingOf(of: string, { lack, room, hasLimit, seen, mount }: Lack): DoctorFinding {
  const isRoom = lack === 'room';
  const left = isRoom
    ? `${formatSize(room.freeBytes)} of ${formatSize(room.totalBytes)} are free`
    : `${grouped(room.freeInodes)} of ${grouped(room.totalInodes)} files may still be made`;
  return {
    id: hasLimit ? 'HF-D032' : isRoom ? 'HF-D030' : 'HF-D031',
    rule: hasLimit ? 'limit-reached' : isRoom ? 'disk-full' : 'inodes-full',
    severity: 'downtime',
    subject: { kind: hasLimit ? 'path' : 'mount', name: of },
    message: hasLimit ? `The limit of ${quote(of)} is reached: ${left}` : `${quote(of)} is full: ${left}`,
    meaning: isRoom
      ? 'Writes fail with "No space left on device"; databases stop, and some do not start again without room.'
      : 'New files fail with "No space left on device", though there is room: too many small files are there.',
    evidence: [`${quote(mount.type)} from ${quote(toText(mount.source))}`, seen],
    remedy: hasLimit
      ? 'Raise the limit, or remove what is no longer needed.'
      : isRoom
        ? 'See what takes the room, and remove what is no longer needed; unused images and build caches first.'
        : 'See which folder has so many files, and remove those that are no longer needed.',
    commands: [
      ['du', '-xh', ...(isRoom ? [] : ['--inodes']), '-d', '2', of],
      ...(hasLimit || !isRoom ? [] : [['docker', 'system', 'df']]),
    ],
    position: undefined,
    fix: undefined,
  };
}
