import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Container } from '../../hosts/containers.ts';
import { listXattrs } from '../../lib/posix.ts';
import { runProgram } from '../../lib/run-program.ts';
import { fromText } from '../../model/byte-string.ts';
import { isWithin } from '../../model/clean-path.ts';
import { errorMessage, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Diagnosis, DoctorFinding, Remark } from './diagnosis.ts';
import { pastedByRoot } from './pasted.ts';
import { isOfSystem, type PatientMount } from './patients.ts';

/** A refusal of SELinux or AppArmor. */
export interface Denial {
  readonly by: 'SELinux' | 'AppArmor';
  /** Seconds since 1970. */
  readonly at: number;
  /** The program, as it calls itself. */
  readonly program: string;
  /** A whole path from AppArmor, often a name alone from SELinux. */
  readonly name: string;
  readonly what: string;
  /** The profile, or the label of the process. */
  readonly rule: string;
  /** The label of what it was refused, from SELinux. */
  readonly target: string;
}

/** What SELinux and AppArmor know a container and its data by; '' where that cannot be seen. */
export interface Labels {
  /** The label of its first process, or its profile. */
  readonly process: string;
  /** The labels of what a name of the mount may mean now: its source, and what is in that. */
  data(name: string): readonly string[];
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
  return { findings: planDenials(mounts, recent, labelsOf), notLookedAt };
}

/** SELinux's file is there where a policy is loaded; AppArmor's says `N` where it is built in and not used. */
function isEnforced(): boolean {
  return existsSync('/sys/fs/selinux/enforce') || isAppArmorOn();
}

function isAppArmorOn(): boolean {
  try {
    return readFileSync('/sys/module/apparmor/parameters/enabled', 'utf8').startsWith('Y');
  } catch {
    // The kernel has none.
    return false;
  }
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

/** Denials in the lines of a log, but for those of profiles that were loaded again since; pure. */
export function parseDenials(text: string): Denial[] {
  const loaded = new Map<string, number>();
  const denials = text.split('\n').flatMap((line): Denial[] => {
    const at = Number(/audit\((\d+(?:\.\d+)?):\d+\)/.exec(line)?.[1] ?? Number.NaN);
    if (Number.isNaN(at)) return [];
    const field = (name: string): string =>
      new RegExp(`(?:^|\\s)${name}=(?:"([^"]*)"|(\\S+))`)
        .exec(line)
        ?.slice(1)
        .find((value) => value !== undefined) ?? '';
    // Names with blanks and the like are written as hexadecimal digits, without quotes.
    const nameIn = (name: string): string => {
      const [, digits] = new RegExp(`(?:^|\\s)${name}=((?:[0-9A-F]{2})+)(?:\\s|$)`).exec(line) ?? [];
      return digits === undefined ? field(name) : Buffer.from(digits, 'hex').toString();
    };
    if (/apparmor="STATUS" operation="profile_(?:load|replace)"/.test(line)) {
      if (/info="same as/.test(line)) return [];
      const name = nameIn('name');
      loaded.set(name, Math.max(at, loaded.get(name) ?? 0));
      return [];
    }
    const common = { at, program: nameIn('comm'), name: nameIn('name') || nameIn('path') };
    if (/apparmor="DENIED"/.test(line))
      return [{ ...common, by: 'AppArmor', what: field('denied_mask'), rule: nameIn('profile'), target: '' }];
    const [, what] = /avc:\s+denied\s+\{ ([^}]+) \}/.exec(line) ?? [];
    if (what === undefined || !/container|svirt/.test(field('scontext'))) return [];
    // It is told of, and was allowed all the same.
    if (field('permissive') === '1') return [];
    return [{ ...common, by: 'SELinux', what, rule: field('scontext'), target: field('tcontext') }];
  });
  return denials.filter(({ by, at, rule }) => by !== 'AppArmor' || at > (loaded.get(rule) ?? 0));
}

/** Denials that concern mounts of containers, one finding for each mount; pure. */
export function planDenials(
  mounts: readonly PatientMount[],
  denials: readonly Denial[],
  labels: (mount: PatientMount) => Labels,
): DoctorFinding[] {
  return mounts.flatMap((patient) => {
    const found = denials.length === 0 ? [] : concerning(patient, denials, labels(patient));
    return found.length === 0 ? [] : [findingOf(patient, found)];
  });
}

function concerning(patient: PatientMount, denials: readonly Denial[], labels: Labels): Denial[] {
  return denials.filter((denial) => isOf(patient.container, denial, labels) && isAt(patient, denial, labels));
}

/** Each container has a label of its own from SELinux; a profile is shared by many. */
function isOf(container: Container, { by, rule, program }: Denial, { process }: Labels): boolean {
  if (process !== '') return rule === process || (by === 'AppArmor' && rule.startsWith(`${process}//`));
  return by === 'AppArmor' || runsProgram(container, program);
}

/**
 * AppArmor tells the path; SELinux often a name alone, and the label that the data had. With another one by now,
 * that refusal is over.
 */
function isAt({ mount, hostPath }: PatientMount, { by, name, target }: Denial, labels: Labels): boolean {
  const known = by === 'SELinux' ? labels.data(name) : [];
  if (known.length > 0 && !known.includes(target)) return false;
  if (name.startsWith('/'))
    return isWithin(name, mount.destination) || (hostPath !== undefined && isWithin(name, hostPath));
  return hostPath !== undefined && (known.length > 0 || mount.type === 'bind');
}

function labelsOf({ container, mount, hostPath }: PatientMount): Labels {
  return {
    process: processLabel(container.pid),
    data(name) {
      if (hostPath === undefined) return [];
      const places = name.startsWith('/')
        ? isWithin(name, mount.destination)
          ? [join(hostPath, relative(mount.destination, name))]
          : [hostPath]
        : [hostPath, ...(name.includes('/') ? [] : [join(hostPath, name)])];
      return places.map(dataLabel).filter((label) => label !== '');
    },
  };
}

function processLabel(pid: number | undefined): string {
  if (pid === undefined) return '';
  try {
    // AppArmor adds its mode in brackets.
    return readFileSync(`/proc/${pid}/attr/current`, 'utf8').replace(/(?: \(\w+\))?[\0\n]*$/, '');
  } catch {
    // It has ended, or the kernel has no labels.
    return '';
  }
}

function dataLabel(place: string): string {
  try {
    const label = listXattrs(fromText(place)).find(({ name }) => name === 'security.selinux')?.value;
    return label === undefined ? '' : Buffer.from(label).toString().replace(/\0$/, '');
  } catch {
    // It is gone, or closed to this user.
    return '';
  }
}

function runsProgram({ command, entrypoint = [] }: Container, program: string): boolean {
  const [first = ''] = [...entrypoint, ...command];
  return program !== '' && first.slice(first.lastIndexOf('/') + 1).startsWith(program);
}

function findingOf({ container, mount, hostPath }: PatientMount, denials: readonly Denial[]): DoctorFinding {
  const [{ by, rule } = { by: 'SELinux', rule: '' }] = denials;
  const isSelinux = by === 'SELinux';
  // With the label of containers, the machine itself would be refused its own files.
  const isSystem = mount.type === 'bind' && isOfSystem(hostPath ?? '');
  return {
    id: isSelinux ? 'HF-D040' : 'HF-D041',
    rule: isSelinux ? 'selinux-denial' : 'apparmor-denial',
    severity: 'downtime',
    subject: { kind: 'container', name: container.name },
    message: `${by} refuses ${quote(container.name)} what it does at ${quote(mount.destination)}`,
    meaning: 'The application gets "Permission denied", whatever owner and mode say.',
    evidence: [...new Set(denials.slice(-5).map(describe))],
    remedy: !isSelinux
      ? remedyOf(rule, ruleFor(mount.destination, denials))
      : isSystem
        ? "It is the machine’s own, and keeps its labels: mount only what the container needs, or run it without SELinux's rules (--security-opt label=disable)."
        : 'Give the data the label of containers: by ":z" at the mount (":Z" for one container alone), or at once by the command.',
    commands: isSelinux
      ? hostPath === undefined || isSystem
        ? []
        : pastedByRoot(['chcon', '-R', '-t', 'container_file_t', hostPath], hostPath)
      : loadingOf(rule),
    position: undefined,
    fix: undefined,
  };
}

function describe({ by, at, program, name, what, rule }: Denial): string {
  return `${new Date(at * 1000).toISOString()} ${by}: ${quote(program)} was refused ${quote(what)} of ${quote(name)}, by ${quote(rule)}`;
}

/** The engine's own profile has no file: it is made anew with each start of the engine. */
function remedyOf(profile: string, rule: string): string {
  return profile === 'docker-default'
    ? `The engine's own profile refuses it: make the container anew with a profile that has ${quote(rule)} (--security-opt apparmor=NAME).`
    : `To the profile ${quote(profile)}, add ${quote(rule)}, and load it again; or run the container with another one.`;
}

/** AppArmor's letters for creating, deleting and so on are no rights that a rule could give. */
const letterOf: Readonly<Record<string, string>> = { c: 'w', d: 'w', a: 'w', x: 'ix' };

/** For all that a mount holds. Pure. */
function ruleFor(destination: string, denials: readonly Denial[]): string {
  const letters = new Set(
    denials.flatMap(({ what }) => what.split('').map((letter) => letterOf[letter] ?? letter)),
  );
  return `${destination.replace(/\/$/, '')}/{,**} ${[...letters].toSorted().join('')},`;
}

const profiles = '/etc/apparmor.d';

/** Loads the file again that has the profile, where there is one. */
function loadingOf(profile: string): string[][] {
  const file = readFiles(profiles).find(({ text }) =>
    text
      .split('\n')
      .some((line) => /^\s*(?:profile\s+)?"?([^\s"{]+)/.exec(line)?.[1] === profile && line.includes('{')),
  );
  return file === undefined ? [['aa-status']] : [['apparmor_parser', '-r', file.path]];
}

function readFiles(folder: string): { readonly path: string; readonly text: string }[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => ({ path: join(folder, name), text: readFileSync(join(folder, name), 'utf8') }));
  } catch {
    // Without profiles of files, or closed to this user.
    return [];
  }
}
