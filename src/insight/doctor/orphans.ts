import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { HostInfo } from '../../hosts/host.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';
import type { MountAnswer } from './mount-answers.ts';

/** What the engine has left: anonymous volumes that nothing uses, folders that it does not know, volumes without a folder. */
export function diagnoseOrphans(
  host: HostInfo | undefined,
  volumes: readonly Volume[],
  answers: ReadonlyMap<string, MountAnswer>,
): Diagnosis {
  if (host === undefined || host.isRemote === true) return { findings: [], notLookedAt: [] };
  const lost = volumes.filter((volume) => isLost(volume, answers));
  const dangling = volumes.filter(
    (volume) => volume.anonymous && volume.consumers.length === 0 && !lost.includes(volume),
  );
  const unknown = host.kind === 'docker' ? unknownFolders(host, volumes) : [];
  return {
    findings: [
      ...lost.map(folderGone),
      ...(dangling.length > 0 ? [anonymousLeft(dangling, answers)] : []),
      ...(unknown.length > 0 ? [foldersUnknown(unknown)] : []),
    ],
    notLookedAt: [],
  };
}

/** The volume is known, and its folder is not there; of those in use the missing source is told. */
function isLost({ mountpoint, consumers }: Volume, answers: ReadonlyMap<string, MountAnswer>): boolean {
  const answer = mountpoint === undefined ? undefined : answers.get(mountpoint);
  return consumers.length === 0 && answer?.kind === 'error' && /no such file/i.test(answer.message);
}

function folderGone({ name, mountpoint = '' }: Volume): DoctorFinding {
  return {
    id: 'HF-D080',
    rule: 'volume-folder-gone',
    severity: 'loss',
    subject: { kind: 'volume', name },
    message: `The engine knows volume ${quote(name)}, and its folder is not there`,
    meaning: 'Its data was removed past the engine, and no container that uses it can start.',
    evidence: [`${quote(mountpoint)} is missing`],
    remedy: 'Restore it; or, where it was empty, remove the volume and make it anew.',
    commands: [['holdfast', 'restore', name]],
    position: undefined,
    // An empty folder would hide the loss, and the next container would begin anew in it.
    fix: undefined,
  };
}

function anonymousLeft(volumes: readonly Volume[], answers: ReadonlyMap<string, MountAnswer>): DoctorFinding {
  return {
    id: 'HF-D084',
    rule: 'anonymous-left',
    severity: 'hygiene',
    subject: { kind: 'host', name: 'volumes' },
    message: `${volumes.length === 1 ? 'An anonymous volume is' : `${volumes.length} anonymous volumes are`} used by nothing`,
    meaning:
      'A container that had no name for its data was removed or made anew. Where an image declares a volume that no mount covers, this may be data that is missed elsewhere.',
    evidence: volumes.slice(0, 20).map((volume) => describe(volume, answers)),
    remedy: 'Look into those that hold data, then remove what is not needed.',
    commands: volumes.slice(0, 20).map(({ name }) => ['docker', 'volume', 'rm', name]),
    position: undefined,
    fix: undefined,
  };
}

function describe(
  { name, createdAt, labels, mountpoint = '', stack }: Volume,
  answers: ReadonlyMap<string, MountAnswer>,
): string {
  const from = labels['com.docker.compose.volume'] ?? labels['com.docker.swarm.service.name'];
  return [
    `${quote(name.slice(0, 12))}, made ${createdAt ?? 'at an unknown time'}`,
    ...(stack === undefined ? [] : [`for stack ${quote(stack)}`]),
    ...(from === undefined ? [] : [`as ${quote(from)}`]),
    answers.get(mountpoint)?.kind === 'room' ? contentOf(mountpoint) : 'and cannot be looked into',
  ].join(', ');
}

function contentOf(mountpoint: string): string {
  try {
    const names = readdirSync(mountpoint);
    if (names.length === 0) return 'empty';
    return `holds ${names
      .slice(0, 4)
      .map((name) => quote(name))
      .join(' ')}${names.length > 4 ? ' …' : ''}`;
  } catch {
    return 'its content cannot be seen from here';
  }
}

/** The engine reads its folder of volumes when it starts: what came later by another way is unknown to it. */
function unknownFolders({ dataRoot }: HostInfo, volumes: readonly Volume[]): string[] {
  if (dataRoot === undefined) return [];
  const known = new Set(volumes.map(({ name }) => name));
  const folder = path.join(dataRoot, 'volumes');
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !known.has(entry.name))
      .map(({ name }) => path.join(folder, name));
  } catch {
    // Not of this machine, or closed to this user.
    return [];
  }
}

function foldersUnknown(paths: readonly string[]): DoctorFinding {
  return {
    id: 'HF-D085',
    rule: 'volume-unknown',
    severity: 'hygiene',
    subject: { kind: 'host', name: 'volumes' },
    message: `${paths.length === 1 ? 'A folder' : `${paths.length} folders`} among the engine's volumes ${paths.length === 1 ? 'is' : 'are'} unknown to it`,
    meaning: 'They were put there past the engine, and become volumes when it starts the next time.',
    evidence: paths.slice(0, 20).map((place) => quote(place)),
    remedy: 'Move away what is no volume; what is one becomes known by a restart of the engine.',
    commands: [['systemctl', 'restart', 'docker']],
    position: undefined,
    fix: undefined,
  };
}
