import path from 'node:path';
import type { Container } from '../../hosts/containers.ts';
import { quote } from '../../model/quote.ts';
import type { DoctorFinding } from './diagnosis.ts';
import { commandsOf, type CronEntry, serviceOf, type Unit } from './units.ts';

/** Programs that are known to start or replace others' containers. */
const restarters = /(?:^|\/)(?:[\w.-]*watchtower|[\w.-]*autoheal|ouroboros)(?:[:@]|$)/;

const socket = /\/docker\.sock$|\/podman\.sock$/;

/** Programs with the engine's socket, and lines of cron, that start a container again which a backup has stopped; pure. */
export function findRestarters(
  containers: readonly Container[],
  entries: readonly CronEntry[],
): DoctorFinding[] {
  const programs = containers.filter(
    ({ image, pid, mounts }) =>
      pid !== undefined && restarters.test(image) && mounts.some(({ source }) => socket.test(source ?? '')),
  );
  const byCron = entries.flatMap((entry) =>
    containers.filter((one) => starts(entry.command, one)).map((one) => cronFinding(one, entry)),
  );
  return [...programs.map(programFinding), ...byCron];
}

export interface PlannedUnit {
  /** What has to be at work for it to be true. */
  readonly unit: string;
  readonly finding: DoctorFinding;
}

/** What there is to say of units if they are at work; pure. */
export function planUnits(containers: readonly Container[], units: readonly Unit[]): PlannedUnit[] {
  return units.flatMap((unit): PlannedUnit[] => {
    const isTimer = unit.name.endsWith('.timer');
    const service = isTimer ? units.find(({ name }) => name === serviceOf(unit)) : unit;
    if (service === undefined || (!isTimer && !restartsItself(unit))) return [];
    const directory = /^WorkingDirectory=-?(.+)$/m.exec(service.text)?.[1];
    return commandsOf(service).flatMap((command) =>
      containers
        .filter((container) => starts(command, container, directory))
        .map((container) => ({
          unit: unit.name,
          finding: (isTimer ? timerFinding : unitFinding)(container, unit.name, command),
        })),
    );
  });
}

/** The last setting counts. */
function restartsItself({ text }: Unit): boolean {
  const last = [...text.matchAll(/^Restart=(\S*)\s*$/gm)].at(-1)?.[1];
  return /^(?:always|on-success|on-failure|on-abnormal|on-abort|on-watchdog)$/.test(last ?? '');
}

const engines = /(?:^|[\s/"'=])(?:docker|podman)(?:-compose)?[\s"']/;
/** What runs in a container that runs already, which starts none. */
const execs = /((?:^|[\s/"'=])(?:docker|podman)(?:-compose)?)(?:\s+[^\s;&|]+)*?\s+exec\s[^;&|]*/g;
const verbs = /\s(?:start|restart|up|run|unpause)(?=[\s"']|$)/;

/** A command line of the engine's that names the container, its service, or all of its stack. */
function starts(line: string, { name, service, stack }: Container, directory?: string): boolean {
  const command = line.replaceAll(execs, '$1 ');
  if (!engines.test(command) || !verbs.test(command)) return false;
  const words = command.split(/[\s"';&|]+/).filter(Boolean);
  if (words.includes(name) || words.includes(`--name=${name}`)) return true;
  const isCompose = words.some((word) => /(?:^|\/|docker-|podman-)compose$/.test(word));
  if (!isCompose || stack === undefined) return false;
  const after = words.slice(words.findIndex((word) => /^(?:up|start|restart|run|unpause)$/.test(word)) + 1);
  const named = after.filter((word) => !word.startsWith('-'));
  const option = (flags: readonly string[]): string | undefined =>
    words[words.findIndex((word) => flags.includes(word)) + 1];
  const given = words.some((word) => ['-p', '--project-name'].includes(word))
    ? option(['-p', '--project-name'])
    : projectOf(
        words.some((word) => ['-f', '--file'].includes(word)) ? option(['-f', '--file']) : undefined,
        directory,
      );
  return given === stack && (named.length === 0 || named.includes(service ?? ''));
}

/** The name that Compose gives to a project by its folder. */
function projectOf(file: string | undefined, directory: string | undefined): string | undefined {
  const folder = file === undefined ? directory : path.dirname(path.resolve(directory ?? '/', file));
  return folder === undefined
    ? undefined
    : path
        .basename(folder)
        .toLowerCase()
        .replaceAll(/[^a-z0-9_-]/g, '')
        .replace(/^[_-]+/, '');
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

function unitFinding({ name, removesItself }: Container, unit: string, command: string): DoctorFinding {
  // The end of the unit stops the container that it shows, and one that it has made is removed.
  const isMadeByUnit = removesItself === true || /\srun(?:\s|$)/.test(command);
  return {
    id: 'HF-D071',
    rule: 'unit-restarts-stopped',
    severity: 'hygiene',
    subject: { kind: 'container', name },
    message: `The unit ${quote(unit)} starts ${quote(name)} again when it is stopped`,
    meaning:
      'A backup or restore that stops the container has it started meanwhile: the backup is torn, the restore fails.',
    evidence: [quote(command.slice(0, 200))],
    remedy: isMadeByUnit
      ? 'Let the engine start it instead ("docker run -d --restart unless-stopped"); or stop the unit around a backup.'
      : 'Let the engine restart it, and take the container out of the unit; or stop the unit around a backup.',
    commands: [
      ['systemctl', 'disable', '--now', unit],
      ...(isMadeByUnit
        ? []
        : [
            ['docker', 'update', '--restart', 'unless-stopped', name],
            ['docker', 'start', name],
          ]),
    ],
    position: undefined,
    fix: undefined,
  };
}

function timerFinding(container: Container, timer: string, command: string): DoctorFinding {
  return {
    ...byTheClock(container, `The timer ${quote(timer)}`, [quote(command.slice(0, 200))]),
    remedy: 'Let it come at another time than backups, or do without it.',
    commands: [['systemctl', 'disable', '--now', timer]],
  };
}

function cronFinding(container: Container, { file, line, command }: CronEntry): DoctorFinding {
  return {
    ...byTheClock(container, `Line ${line} of ${quote(file)}`, [quote(command.slice(0, 200))]),
    remedy: 'Let it come at another time than backups, or take the line out.',
    commands: [],
  };
}

function byTheClock(
  { name }: Container,
  what: string,
  evidence: readonly string[],
): Omit<DoctorFinding, 'remedy' | 'commands'> {
  return {
    id: 'HF-D072',
    rule: 'timer-starts-stopped',
    severity: 'hygiene',
    subject: { kind: 'container', name },
    message: `${what} starts ${quote(name)} at its times`,
    meaning: 'When a backup or a restore keeps it stopped at that time, its data changes meanwhile.',
    evidence,
    position: undefined,
    fix: undefined,
  };
}
