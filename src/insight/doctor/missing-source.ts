import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { type MountPoint, mountAt, parseMountinfo } from '../../lib/mountinfo.ts';
import { openTrusted } from '../../lib/open-trusted.ts';
import { fromText, toPath, toText } from '../../model/byte-string.ts';
import { isWithin } from '../../model/clean-path.ts';
import { errnoOf } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { plannedRunner } from './credentials.ts';
import type { Diagnosis, DoctorFinding, Fix } from './diagnosis.ts';
import type { UserNumbers } from './image-users.ts';
import { pasted } from './pasted.ts';
import type { PatientMount } from './patients.ts';
import { unmountedOver } from './unmounted.ts';
import { wayTo, type Step } from './way.ts';

/** Sources of mounts that are not there, are not those that the container has, or are a folder where a file is meant. */
export function diagnoseSources(
  mounts: readonly PatientMount[],
  {
    isAsked,
    machine,
    mapBase,
    users,
  }: {
    readonly isAsked: boolean;
    readonly machine: readonly MountPoint[];
    readonly mapBase: number;
    /** Of containers that do not run. */
    readonly users: ReadonlyMap<string, UserNumbers>;
  },
): Diagnosis {
  const findings: DoctorFinding[] = [];
  for (const patient of mounts) {
    const { hostPath } = patient;
    if (hostPath === undefined) continue;
    const source = lastStep('/', hostPath);
    if (source === 'unknown') continue;
    if (source === undefined) {
      const numbers = users.get(patient.container.id);
      const owner = plannedRunner(patient.container, { numbers, mapBase })?.credentials;
      const away = unmountedOver(hostPath, machine);
      const now = whereNow(patient, machine);
      findings.push(missing(patient, { hostPath, owner, away, now }));
    } else if (isFolderForFile(patient, hostPath, source)) findings.push(folderForFile(patient, hostPath));
    // An editor replaces files, and the container keeps the former one: told to those who ask.
    else if (isReplaced(patient, source) && (source.guard.isDirectory || isAsked))
      findings.push(replaced(patient, hostPath));
  }
  return { findings, notLookedAt: [] };
}

/** Undefined where there is nothing; `unknown` where that cannot be told. */
function lastStep(root: string, path: string): Step | undefined | 'unknown' {
  try {
    return wayTo(root, fromText(path)).at(-1);
  } catch (error) {
    return errnoOf(error) === 'ENOENT' ? undefined : 'unknown';
  }
}

interface Missing {
  readonly hostPath: string;
  /** The user that the container will run as, where that is known. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /** The file system that it would lie on, if that is not mounted. */
  readonly away: string | undefined;
  /** Where what a running container has mounted lies by now, if it was moved. */
  readonly now: string | undefined;
}

function missing({ container, mount }: PatientMount, { hostPath, owner, away, now }: Missing): DoctorFinding {
  const runs = container.pid !== undefined;
  const what = mount.type === 'volume' ? `the folder of volume ${quote(mount.source ?? '')}` : 'the source';
  // A source that looks like a file cannot be made up. An empty folder in the place of lost data would hide the loss.
  const { uid = 0, gid = 0 } = owner ?? {};
  const isVolume = mount.type === 'volume';
  const isFile = !isVolume && looksLikeFile(hostPath);
  const fix: Fix | undefined =
    runs || away !== undefined || isVolume || isFile
      ? undefined
      : { kind: 'folder', path: hostPath, uid, gid };
  return {
    id: 'HF-D012',
    rule: 'source-missing',
    severity: isVolume || runs ? 'loss' : 'downtime',
    subject: { kind: 'container', name: container.name },
    message: `${quote(hostPath)}, ${what} of ${quote(mount.destination)} in ${quote(container.name)}, is not there`,
    meaning: runs
      ? now === undefined
        ? 'It was removed while the container runs: what the container writes is lost when it ends.'
        : 'It was renamed while the container runs: when that starts again, it does not find its data.'
      : 'The container cannot start, or starts on an empty folder that the engine makes for root.',
    evidence: [
      `${quote(container.name)} is ${container.state}`,
      ...(away === undefined ? [] : [`${quote(away)} of /etc/fstab is not mounted`]),
      ...(now === undefined ? [] : [`what the container has is at ${quote(now)} now`]),
    ],
    remedy: runs
      ? now === undefined
        ? 'Save what the container still has open by its own means, bring the data back from a backup, and restart the container.'
        : 'Move it back.'
      : away !== undefined
        ? 'Mount the file system that it lies on.'
        : isFile
          ? 'Put the file back.'
          : `Bring the data back from a backup; or, where it was empty, make the folder${fix === undefined ? '' : ` for ${uid}:${gid}`}.`,
    commands: runs
      ? now === undefined
        ? [['docker', 'restart', container.name]]
        : pasted(['mv', '-nT', now, hostPath], now, hostPath)
      : [
          ...(away === undefined ? [] : [['mount', away]]),
          ...(isVolume && away === undefined ? [['holdfast', 'restore', mount.source ?? '']] : []),
          ['docker', 'start', container.name],
        ],
    position: undefined,
    fix,
  };
}

/** By the kernel's own name for the root of the mount, which follows a move; held to be the very same file. */
function whereNow({ container, mount }: PatientMount, machine: readonly MountPoint[]): string | undefined {
  if (container.pid === undefined) return undefined;
  const place = fromText(mount.destination);
  const inside = lastStep(`/proc/${container.pid}/root`, mount.destination);
  const seen = mountAt(mountsOf(container.pid), place);
  if (seen === undefined || inside === undefined || inside === 'unknown') return undefined;
  for (const { device, root, path } of machine) {
    if (device !== seen.device || !isWithin(seen.root, root)) continue;
    const now = toText(join(path, relative(root, seen.root)));
    const step = lastStep('/', now);
    if (typeof step === 'object' && step.device === inside.device && step.inode === inside.inode) return now;
  }
  return undefined;
}

function mountsOf(pid: number): readonly MountPoint[] {
  try {
    return parseMountinfo(readFileSync(`/proc/${pid}/mountinfo`, 'latin1'));
  } catch {
    // It has ended meanwhile.
    return [];
  }
}

/** The container has another folder mounted than its source is now: it was moved, or made anew. */
function isReplaced({ container, mount }: PatientMount, source: Step): boolean {
  if (container.pid === undefined) return false;
  const inside = lastStep(`/proc/${container.pid}/root`, mount.destination);
  return (
    inside !== undefined &&
    inside !== 'unknown' &&
    mount.type === 'bind' &&
    (inside.device !== source.device || inside.inode !== source.inode)
  );
}

function replaced({ container, mount }: PatientMount, hostPath: string): DoctorFinding {
  return {
    id: 'HF-D014',
    rule: 'source-replaced',
    severity: mount.readOnly ? 'downtime' : 'loss',
    subject: { kind: 'container', name: container.name },
    message: `${quote(container.name)} has another ${quote(mount.destination)} than ${quote(hostPath)} is now`,
    meaning: `The source was replaced, unmounted or mounted over while the container runs: changes on one side are not seen on the other${mount.readOnly ? '.' : ', and what the container writes may be lost.'}`,
    evidence: [`${quote(hostPath)} is a different file or folder from what the container has mounted`],
    remedy: mount.readOnly
      ? 'Restart the container.'
      : 'Restart the container, after looking whether what it wrote since has to be saved.',
    commands: [['docker', 'restart', container.name]],
    position: undefined,
    fix: undefined,
  };
}

const fileNames =
  /\.(?:conf|cnf|cfg|ini|ya?ml|json|toml|env|properties|xml|sql|sh|pem|crt|key|cert|txt|php|py|js|lua|html?|list|htpasswd|db|sqlite3?)$/i;

function looksLikeFile(path: string): boolean {
  return fileNames.test(path);
}

/** An empty folder of root with a file's name, on both sides. */
function isFolderForFile({ mount }: PatientMount, hostPath: string, source: Step): boolean {
  return (
    mount.type === 'bind' &&
    source.guard.isDirectory &&
    source.guard.uid === 0 &&
    looksLikeFile(mount.destination) &&
    isEmpty(hostPath)
  );
}

function isEmpty(path: string): boolean {
  try {
    using folder = openTrusted(fromText(path));
    return readdirSync(toPath(folder.at('.'))).length === 0;
  } catch {
    // What cannot be looked into is not called empty.
    return false;
  }
}

function folderForFile({ container, mount }: PatientMount, hostPath: string): DoctorFinding {
  const { stack, service, name } = container;
  return {
    id: 'HF-D013',
    rule: 'folder-for-file',
    severity: 'downtime',
    subject: { kind: 'container', name },
    message: `${quote(mount.destination)} in ${quote(name)} is an empty folder, and its name is that of a file`,
    meaning: `${quote(hostPath)} was missing when the container was made, so that the engine made a folder of root's there.`,
    evidence: [`${quote(hostPath)} is an empty folder that belongs to root`],
    remedy: 'Remove the folder, put the file there, and make the container anew.',
    commands: [
      ...pasted(['rmdir', hostPath], hostPath),
      stack === undefined || service === undefined
        ? ['docker', 'rm', '-f', name]
        : ['docker', 'compose', '-p', stack, 'up', '-d', '--force-recreate', service],
    ],
    position: undefined,
    fix: undefined,
  };
}
