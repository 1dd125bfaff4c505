import { readFileSync } from 'node:fs';
import type { Container } from '../../hosts/containers.ts';
import { type MountPoint, mountOver, parseMountinfo } from '../../lib/mountinfo.ts';
import { fromText, toText } from '../../model/byte-string.ts';
import { quote } from '../../model/quote.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';
import { pastedByRoot } from './pasted.ts';
import { isOfMachine, isUnwell, type PatientMount } from './patients.ts';

/** Mounts that take no writes though the container is to write, and those of which that is the fault. */
export function diagnoseReadOnly(
  mounts: readonly PatientMount[],
  {
    containers,
    machine: own,
    isAsked,
  }: {
    readonly containers: readonly Container[];
    readonly machine: readonly MountPoint[];
    readonly isAsked: boolean;
  },
): Diagnosis {
  const findings = new Map<string, DoctorFinding>();
  for (const patient of mounts) {
    const { mount, container, hostPath } = patient;
    // The processes of an engine on another machine are not this one's.
    const source = hostPath === undefined ? undefined : mountOver(own, fromText(hostPath));
    if (isOfMachine(patient) || source === undefined) continue;
    const under = mountUnder(patient, source);
    if (under === undefined) continue;
    if (mount.readOnly) {
      if (isAsked && isUnwell(patient))
        findings.set(`${container.id} ${mount.destination}`, asConfigured(patient));
    } else if (under.isFilesystemReadOnly || under.isReadOnly)
      findings.set(`${container.id} ${mount.destination}`, findingOf(patient, under, toText(source.path)));
  }
  const rooted = isAsked ? containers.filter((one) => one.hasReadOnlyRoot === true) : [];
  for (const container of rooted.filter((one) => isUnwell({ container: one })))
    findings.set(container.id, rootAsConfigured(container));
  return { findings: [...findings.values()], notLookedAt: [] };
}

/** As the container has it, where it runs. */
function mountUnder({ container, mount }: PatientMount, source: MountPoint): MountPoint | undefined {
  if (container.pid === undefined) return source;
  try {
    const seen = parseMountinfo(readFileSync(`/proc/${container.pid}/mountinfo`, 'latin1'));
    return mountOver(seen, fromText(mount.destination));
  } catch {
    // It has ended meanwhile, or is not of this machine.
    return undefined;
  }
}

function findingOf(
  { container, mount, hostPath }: PatientMount,
  under: MountPoint,
  mountPoint: string,
): DoctorFinding {
  const whole = under.isFilesystemReadOnly;
  const source = toText(under.source);
  return {
    id: 'HF-D020',
    rule: 'read-only-storage',
    severity: 'downtime',
    subject: { kind: 'container', name: container.name },
    message: `${quote(container.name)} cannot write to ${quote(mount.destination)}: ${whole ? 'its file system' : 'its mount'} is read-only`,
    meaning: whole
      ? 'The application gets "Read-only file system". The kernel makes it so after an error of the disk; or it was mounted so.'
      : 'The application gets "Read-only file system", though the container was made to write there.',
    evidence: [
      `${quote(under.type)} from ${quote(source)}`,
      ...(hostPath === undefined ? [] : [`on this machine it is ${quote(hostPath)}`]),
    ],
    remedy: whole
      ? "Look in the kernel's log (dmesg) for errors of the disk first. Where there are none, mount it writable again."
      : 'Mount its source writable, and restart the container.',
    commands: whole
      ? [['dmesg'], ...pastedByRoot(['mount', '-o', 'remount,rw', mountPoint], mountPoint)]
      : [['docker', 'restart', container.name]],
    position: undefined,
    fix: undefined,
  };
}

function asConfigured({ container, mount }: PatientMount): DoctorFinding {
  return {
    id: 'HF-D021',
    rule: 'mounted-read-only',
    severity: 'downtime',
    subject: { kind: 'container', name: container.name },
    message: `${quote(container.name)} is not well, and has ${quote(mount.destination)} mounted read-only, as it was made`,
    meaning: 'If it has to write there, it gets "Read-only file system".',
    evidence: [howItEnded(container)],
    remedy: 'If it has to write there, make it anew without ":ro" at this mount.',
    commands: [['docker', 'logs', '--tail', '20', container.name]],
    position: undefined,
    fix: undefined,
  };
}

function rootAsConfigured(container: Container): DoctorFinding {
  const { name, mounts } = container;
  const writable = mounts.filter(({ readOnly }) => !readOnly).map(({ destination }) => quote(destination));
  return {
    id: 'HF-D021',
    rule: 'mounted-read-only',
    severity: 'downtime',
    subject: { kind: 'container', name },
    message: `${quote(name)} is not well, and its own file system is read-only, as it was made`,
    meaning: 'If it has to write outside of its mounts, to /tmp or /run, it gets "Read-only file system".',
    evidence: [
      howItEnded(container),
      writable.length === 0 ? 'it can write nowhere' : `it can write to ${writable.join(', ')}`,
    ],
    remedy:
      'See where it has to write, and make it anew with a folder in memory there (--tmpfs /tmp, "tmpfs" in a Compose file), or without --read-only.',
    commands: [['docker', 'logs', '--tail', '20', name]],
    position: undefined,
    fix: undefined,
  };
}

function howItEnded({ name, state, exitCode }: Container): string {
  return `${quote(name)} is ${state}, and ended with ${exitCode ?? 'no number'}`;
}
