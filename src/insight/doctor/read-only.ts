import { readFileSync } from 'node:fs';
import { type MountPoint, mountOver, parseMountinfo } from '../../lib/mountinfo.ts';
import { fromText, toText } from '../../model/byte-string.ts';
import { quote } from '../../model/quote.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';
import { isOfMachine, isUnwell, type PatientMount } from './patients.ts';

/** Mounts that take no writes though the container is to write, and those of which that is the fault. */
export function diagnoseReadOnly(
  mounts: readonly PatientMount[],
  own: readonly MountPoint[],
  isAsked: boolean,
): Diagnosis {
  const findings = new Map<string, DoctorFinding>();
  for (const patient of mounts) {
    if (isOfMachine(patient)) continue;
    const under = mountUnder(patient, own);
    if (under === undefined) continue;
    const { mount, container, hostPath } = patient;
    if (mount.readOnly) {
      if (isAsked && isUnwell(patient))
        findings.set(`${container.id} ${mount.destination}`, asConfigured(patient));
    } else if (under.isFilesystemReadOnly || under.isReadOnly)
      findings.set(
        `${container.id} ${mount.destination}`,
        findingOf(patient, under, mountPointOf(hostPath, own)),
      );
  }
  return { findings: [...findings.values()], notLookedAt: [] };
}

/** As the container has it, where it runs. */
function mountUnder(
  { container, mount, hostPath }: PatientMount,
  own: readonly MountPoint[],
): MountPoint | undefined {
  if (container.pid === undefined)
    return hostPath === undefined ? undefined : mountOver(own, fromText(hostPath));
  try {
    const seen = parseMountinfo(readFileSync(`/proc/${container.pid}/mountinfo`, 'latin1'));
    return mountOver(seen, fromText(mount.destination));
  } catch {
    // It has ended meanwhile, or is not of this machine.
    return undefined;
  }
}

function mountPointOf(hostPath: string | undefined, own: readonly MountPoint[]): string | undefined {
  const found = hostPath === undefined ? undefined : mountOver(own, fromText(hostPath));
  return found === undefined ? undefined : toText(found.path);
}

function findingOf(
  { container, mount, hostPath }: PatientMount,
  under: MountPoint,
  mountPoint: string | undefined,
): DoctorFinding {
  const whole = under.isFilesystemReadOnly;
  const command = whole
    ? ['mount', '-o', 'remount,rw', mountPoint ?? mount.destination]
    : ['docker', 'restart', container.name];
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
    commands: whole ? [['dmesg'], command] : [command],
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
    evidence: [
      `${quote(container.name)} is ${container.state}, and ended with ${container.exitCode ?? 'no number'}`,
    ],
    remedy: 'If it has to write there, make it anew without ":ro" at this mount.',
    commands: [['docker', 'logs', '--tail', '20', container.name]],
    position: undefined,
    fix: undefined,
  };
}
