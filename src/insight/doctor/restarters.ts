import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Container } from '../../hosts/containers.ts';
import { quote } from '../../model/quote.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';

/** Programs that are known to start or replace others' containers. */
const restarters = /(?:^|\/)(?:[\w.-]*watchtower|[\w.-]*autoheal|ouroboros)(?:[:@]|$)/;

const socket = /\/docker\.sock$|\/podman\.sock$/;

/** Who starts a container again that a backup has stopped: programs with the engine's socket, and units of systemd. */
export function diagnoseRestarters(
  containers: readonly Container[],
  unitFolders: readonly string[] = ['/etc/systemd/system', '/run/systemd/system'],
): Diagnosis {
  const byProgram = containers
    .filter(
      ({ image, pid, mounts }) =>
        pid !== undefined && restarters.test(image) && mounts.some(({ source }) => socket.test(source ?? '')),
    )
    .map(programFinding);
  return { findings: [...byProgram, ...unitsWith(containers, unitFolders)], notLookedAt: [] };
}

function programFinding({ name, image }: Container): DoctorFinding {
  return {
    id: 'HF-D070',
    rule: 'restarts-stopped',
    severity: 'hygiene',
    subject: { kind: 'container', name },
    message: `${quote(name)} (${quote(image)}) starts or replaces containers by itself`,
    meaning:
      'A container that it starts while a backup or a restore keeps it stopped writes to its data meanwhile: that backup is torn.',
    evidence: ['it runs, and has the socket of the engine'],
    remedy: 'Keep it from the containers that are backed up cold, or let it work at other hours.',
    commands: [['docker', 'stop', name]],
    position: undefined,
    fix: undefined,
  };
}

/** Units that run a container in the foreground and start it again when that ends. */
function unitsWith(containers: readonly Container[], folders: readonly string[]): DoctorFinding[] {
  return folders.flatMap((folder) =>
    unitsIn(folder).flatMap((unit) => {
      const text = readUnit(path.join(folder, unit));
      if (!/^Restart=(?:always|on-success|on-failure|unless-stopped)\s*$/m.test(text)) return [];
      const [, command] = /^ExecStart=[-@:+!]*(.*(?:docker|podman)\s.*)$/m.exec(text) ?? [];
      if (command === undefined) return [];
      const words = command.split(/\s+/);
      return containers
        .filter(
          ({ name, service }) =>
            words.includes(name) ||
            (service !== undefined && words.includes(service) && words.includes('up')),
        )
        .map((container) => unitFinding(container, unit, command));
    }),
  );
}

function unitsIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.service'));
  } catch {
    // A machine without systemd.
    return [];
  }
}

function readUnit(place: string): string {
  try {
    return readFileSync(place, 'utf8').slice(0, 65_536);
  } catch {
    // A link that leads nowhere: a unit that is masked.
    return '';
  }
}

function unitFinding({ name }: Container, unit: string, command: string): DoctorFinding {
  return {
    id: 'HF-D071',
    rule: 'unit-restarts-stopped',
    severity: 'hygiene',
    subject: { kind: 'container', name },
    message: `The unit ${quote(unit)} starts ${quote(name)} again when it is stopped`,
    meaning:
      'A backup or restore that stops the container has it started meanwhile: the backup is torn, the restore fails.',
    evidence: [quote(command.slice(0, 200))],
    remedy:
      'Let the engine restart it (--restart unless-stopped), and take the container out of the unit; or stop the unit around a backup.',
    commands: [['systemctl', 'disable', '--now', unit]],
    position: undefined,
    fix: undefined,
  };
}
