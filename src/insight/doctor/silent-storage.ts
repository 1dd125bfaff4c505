import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type MountPoint, mountOver } from '../../lib/mountinfo.ts';
import { fromText, toText } from '../../model/byte-string.ts';
import { quote } from '../../model/quote.ts';
import type { Diagnosis, DoctorFinding, Fix } from './diagnosis.ts';
import type { MountAnswer } from './mount-answers.ts';
import { pasted, pastedByRoot } from './pasted.ts';
import type { Place } from './places.ts';

/** Storage that hangs, and storage whose server or program has gone. */
export function diagnoseSilence(
  places: readonly Place[],
  answers: ReadonlyMap<string, MountAnswer>,
  mounts: readonly MountPoint[],
): Diagnosis {
  const findings = new Map<string, DoctorFinding>();
  for (const place of places) {
    const answer = answers.get(place.path);
    const mount = mountOver(mounts, fromText(place.path));
    if (answer === undefined || answer.kind === 'room' || mount === undefined) continue;
    // What is missing is another diagnosis.
    if (answer.kind === 'error' && !isBroken(answer.message)) continue;
    const at = toText(mount.path);
    const known = findings.get(at);
    const seen = `${quote(place.path)} of ${place.owner}`;
    if (known === undefined) findings.set(at, findingOf(place, { answer, mount, seen }));
    else findings.set(at, { ...known, evidence: [...known.evidence, seen].slice(0, 20) });
  }
  return { findings: [...findings.values()], notLookedAt: [] };
}

function isBroken(message: string): boolean {
  return /stale file handle|transport endpoint|input\/output error|host is down|no route|connection|remote i\/o|structure needs cleaning/i.test(
    message,
  );
}

interface Seen {
  readonly answer: Exclude<MountAnswer, { kind: 'room' }>;
  readonly mount: MountPoint;
  readonly seen: string;
}

function findingOf(place: Place, { answer, mount, seen }: Seen): DoctorFinding {
  const at = toText(mount.path);
  const isSilent = answer.kind === 'silent';
  // Another user can have the folder in a command line of theirs: only programs behind FUSE serve one.
  const server = isSilent && mount.type.startsWith('fuse') ? findStopped(at) : undefined;
  const fix: Fix | undefined =
    server === undefined ? undefined : { kind: 'program', command: ['kill', '-CONT', String(server.pid)] };
  return {
    id: isSilent ? 'HF-D010' : 'HF-D011',
    rule: isSilent ? 'storage-hangs' : 'storage-gone',
    severity: 'downtime',
    subject: { kind: 'mount', name: at },
    message: isSilent
      ? `${quote(at)} does not answer within ${answer.afterMs / 1000} seconds`
      : `${quote(at)} cannot be used: ${answer.message}`,
    meaning: isSilent
      ? 'Every program that reads or writes there waits, and cannot be stopped while it does.'
      : 'Every program that reads or writes there gets an error, until it is mounted again.',
    evidence: [
      `it is a mount of type ${quote(mount.type)} from ${quote(toText(mount.source))}`,
      seen,
      ...(server === undefined
        ? []
        : [`process ${server.pid} (${quote(server.command)}) serves it, and is stopped`]),
    ],
    remedy:
      server !== undefined
        ? `Let process ${server.pid}, which serves it, go on.`
        : `Bring back its ${mount.type.startsWith('fuse') ? 'program' : 'server or disk'}; or unmount it, mount it again, and restart the containers that use it.`,
    commands:
      fix !== undefined
        ? []
        : [...unmounting(mount, at), ...place.containers.map((name) => ['docker', 'restart', name])],
    position: undefined,
    fix,
  };
}

/**
 * The mount itself may hang, so that only the way to it is looked at. Its own name counts, too: a user may unmount
 * an own one behind FUSE, and put a link there. All others are root's to unmount.
 */
function unmounting({ type }: MountPoint, at: string): string[][] {
  const command = ['umount', '-l', at];
  const above = `${path.dirname(at)}/`;
  return type.startsWith('fuse') ? pasted(command, above) : pastedByRoot(command, above);
}

/** The stopped process that has a mount's folder in its command line: a program behind FUSE has. */
function findStopped(at: string): { readonly pid: number; readonly command: string } | undefined {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').filter(Boolean);
      if (words.includes(at) && /^State:\s*T/m.test(readFileSync(`/proc/${name}/status`, 'utf8')))
        return { pid: Number(name), command: words.join(' ').slice(0, 80) };
    } catch {
      // It has ended meanwhile.
    }
  }
  return undefined;
}
