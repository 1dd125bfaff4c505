import path from 'node:path';
import { type MountPoint, mountOver } from '../../lib/mountinfo.ts';
import { runProgram } from '../../lib/run-program.ts';
import { fromText, toText } from '../../model/byte-string.ts';
import { isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { plannedRunner, readRunners } from './credentials.ts';
import type { Diagnosis, DoctorFinding, Remark } from './diagnosis.ts';
import { isUnwell, type PatientMount, subjectOf } from './patients.ts';

/** Containers of root's whose NFS server takes the rights of root away: it alone decides that, and is asked as root. */
export async function diagnoseSquash(
  mounts: readonly PatientMount[],
  {
    isAsked,
    machine,
    processes,
  }: {
    readonly isAsked: boolean;
    readonly machine: readonly MountPoint[];
    readonly processes: ReadonlyMap<string, readonly number[]>;
  },
  signal: AbortSignal | undefined,
): Promise<Diagnosis> {
  const findings: DoctorFinding[] = [];
  const notLookedAt: Remark[] = [];
  for (const patient of mounts) {
    const { hostPath, mount } = patient;
    if (hostPath === undefined || mount.readOnly || process.geteuid?.() !== 0) continue;
    const disk = mountOver(machine, fromText(hostPath));
    if (disk === undefined || !/^nfs4?$/.test(disk.type) || !isOfRoot(patient, processes)) continue;
    if (!isAsked && !isUnwell(patient) && !hasToWrite(patient)) continue;
    try {
      const { status } = await runProgram('test', ['-w', path.join(hostPath, patient.below)], {
        timeoutMs: 5000,
        signal,
      });
      // A mount that takes no writes refuses root, too, and is told of as such.
      const takesWrites = !disk.isReadOnly && !disk.isFilesystemReadOnly;
      if (status === 1 && takesWrites) findings.push(squashed(patient, toText(disk.source)));
    } catch (error) {
      if (!isAppError(error, 'unavailable')) throw error;
      notLookedAt.push({ subject: subjectOf(patient), reason: 'its server does not answer' });
    }
  }
  return { findings, notLookedAt };
}

/** What several have, such as films on a NAS, or what does not run, may well be for reading alone. */
function hasToWrite({ container, volume, others }: PatientMount): boolean {
  return volume !== undefined && others.length === 0 && container.pid !== undefined;
}

function isOfRoot({ container }: PatientMount, processes: ReadonlyMap<string, readonly number[]>): boolean {
  const { id, pid } = container;
  const [first] = pid === undefined ? [plannedRunner(container)] : readRunners(pid, processes.get(id) ?? []);
  return first?.credentials.uid === 0;
}

function squashed({ container, mount, hostPath = '' }: PatientMount, source: string): DoctorFinding {
  return {
    id: 'HF-D024',
    rule: 'root-squashed',
    severity: 'downtime',
    subject: { kind: 'container', name: container.name },
    message: `${quote(container.name)} cannot write to ${quote(mount.destination)}: it runs as root, and the NFS server of ${quote(source)} refuses that to root`,
    meaning:
      'A server gives root of another machine the rights of its "nobody" (root_squash), whatever owner and mode say here: "Permission denied", and "Operation not permitted" for chown.',
    evidence: [`on this machine it is ${quote(hostPath)}, and root of this machine is refused there, too`],
    remedy:
      'Run the container as the user that the folder belongs to on the server; or give it to "nobody" there; or export it with no_root_squash. If the server exports it read-only, that is to be changed.',
    commands: [['ls', '-ldn', hostPath]],
    position: undefined,
    fix: undefined,
  };
}
