import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Container } from '../../hosts/containers.ts';
import { runProgram } from '../../lib/run-program.ts';
import { isWithin } from '../../model/clean-path.ts';
import { errorMessage, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Diagnosis, DoctorFinding, Remark } from './diagnosis.ts';
import type { PatientMount } from './patients.ts';

/** A refusal of SELinux or AppArmor. */
export interface Denial {
  readonly by: 'SELinux' | 'AppArmor';
  /** Seconds since 1970. */
  readonly at: number;
  /** The program, as it calls itself. */
  readonly program: string;
  /** A whole path from AppArmor, often a name alone from SELinux. */
  readonly name: string;
  readonly inode: string | undefined;
  readonly what: string;
  /** The profile, or the label of the process. */
  readonly rule: string;
}

/** What SELinux or AppArmor have refused to containers at their mounts in the last hour. */
export async function diagnoseDenials(
  mounts: readonly PatientMount[],
  nowMs: number,
  signal: AbortSignal | undefined,
): Promise<Diagnosis> {
  if (!isEnforced()) return { findings: [], notLookedAt: [] };
  const { text, notLookedAt } = await readLogs(signal);
  const recent = parseDenials(text).filter(({ at }) => at * 1000 > nowMs - 60 * 60_000);
  return { findings: planDenials(mounts, recent), notLookedAt };
}

function isEnforced(): boolean {
  return existsSync('/sys/fs/selinux/enforce') || existsSync('/sys/module/apparmor/parameters/enabled');
}

const auditLog = '/var/log/audit/audit.log';
const lastBytes = 1 << 20;

/** The kernel's log, and the end of the audit daemon's, which takes the denials where it runs. */
async function readLogs(
  signal: AbortSignal | undefined,
): Promise<{ readonly text: string; readonly notLookedAt: readonly Remark[] }> {
  const notLookedAt: Remark[] = [];
  let text = '';
  const note = (subject: string, reason: string): void => void notLookedAt.push({ subject, reason });
  try {
    const { status, stdout, stderr } = await runProgram('dmesg', ['--level', 'notice,info,warn'], {
      timeoutMs: 5000,
      signal,
    });
    if (status === 0) text += stdout;
    else note("denials in the kernel's log", stderr);
  } catch (error) {
    if (isAppError(error, 'cancelled')) throw error;
    note("denials in the kernel's log", errorMessage(error));
  }
  if (!existsSync(auditLog)) return { text, notLookedAt };
  try {
    await using file = await open(auditLog);
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(size, lastBytes));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, size - buffer.length);
    text += `\n${buffer.toString('latin1', 0, bytesRead)}`;
  } catch (error) {
    note(`denials in ${quote(auditLog)}`, errorMessage(error));
  }
  return { text, notLookedAt };
}

/** Denials in the lines of a log; pure. */
export function parseDenials(text: string): Denial[] {
  return text.split('\n').flatMap((line): Denial[] => {
    const at = Number(/audit\((\d+(?:\.\d+)?):\d+\)/.exec(line)?.[1] ?? Number.NaN);
    if (Number.isNaN(at)) return [];
    const field = (name: string): string =>
      new RegExp(`(?:^|\\s)${name}=(?:"([^"]*)"|(\\S+))`)
        .exec(line)
        ?.slice(1)
        .find((value) => value !== undefined) ?? '';
    const common = { at, program: field('comm'), name: field('name') || field('path') };
    if (/apparmor="DENIED"/.test(line))
      return [
        { ...common, by: 'AppArmor', inode: undefined, what: field('denied_mask'), rule: field('profile') },
      ];
    const [, what] = /avc:\s+denied\s+\{ ([^}]+) \}/.exec(line) ?? [];
    if (what === undefined || !/container|svirt/.test(field('scontext'))) return [];
    return [{ ...common, by: 'SELinux', inode: field('ino') || undefined, what, rule: field('scontext') }];
  });
}

/** Denials that concern mounts of containers, one finding for each mount; pure. */
export function planDenials(mounts: readonly PatientMount[], denials: readonly Denial[]): DoctorFinding[] {
  return mounts.flatMap((patient) => {
    const found = denials.filter((denial) => concerns(patient, denial));
    return found.length === 0 ? [] : [findingOf(patient, found)];
  });
}

/** SELinux tells a name and an inode: that it is of a container is all that is known, where the program fits. */
function concerns({ container, mount, hostPath }: PatientMount, { by, name, program }: Denial): boolean {
  if (by === 'AppArmor' || name.startsWith('/'))
    return isWithin(name, mount.destination) || (hostPath !== undefined && isWithin(name, hostPath));
  return mount.type === 'bind' && hostPath !== undefined && runsProgram(container, program);
}

function runsProgram({ command, entrypoint = [] }: Container, program: string): boolean {
  const [first = ''] = [...entrypoint, ...command];
  return program !== '' && first.slice(first.lastIndexOf('/') + 1).startsWith(program);
}

function findingOf({ container, mount, hostPath }: PatientMount, denials: readonly Denial[]): DoctorFinding {
  const [{ by, rule } = { by: 'SELinux', rule: '' }] = denials;
  const isSelinux = by === 'SELinux';
  return {
    id: isSelinux ? 'HF-D040' : 'HF-D041',
    rule: isSelinux ? 'selinux-denial' : 'apparmor-denial',
    severity: 'downtime',
    subject: { kind: 'container', name: container.name },
    message: `${by} refuses ${quote(container.name)} what it does at ${quote(mount.destination)}`,
    meaning: 'The application gets "Permission denied", whatever owner and mode say.',
    evidence: [...new Set(denials.slice(-5).map(describe))],
    remedy: isSelinux
      ? 'Give the data the label of containers: by ":z" at the mount (":Z" for one container alone), or at once by the command.'
      : `Let the profile ${quote(rule)} allow it, or run the container with another one.`,
    commands:
      isSelinux && hostPath !== undefined
        ? [['chcon', '-R', '-t', 'container_file_t', hostPath]]
        : [['aa-status']],
    position: undefined,
    fix: undefined,
  };
}

function describe({ by, at, program, name, what, rule }: Denial): string {
  return `${new Date(at * 1000).toISOString()} ${by}: ${quote(program)} was refused ${quote(what)} of ${quote(name)}, by ${quote(rule)}`;
}
