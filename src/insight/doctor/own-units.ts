import { accessSync, constants, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { quote } from '../../model/quote.ts';
import { containerIdIn } from './credentials.ts';
import type { DoctorFinding } from './diagnosis.ts';
import { commandsOf, type CronEntry, patternOf, serviceOf, type Unit, type UnitState } from './units.ts';

const daemon = 'holdfast.service';

/** The names of the units that run Holdfast; pure. */
export function ownUnits(units: readonly Unit[]): string[] {
  const own = units.filter((unit) => commandsOf(unit).some(isHoldfast)).map(({ name }) => name);
  return [...new Set([daemon, ...own])];
}

/** Those of them that have failed; pure. */
export function unitFaults(
  own: readonly string[],
  units: readonly Unit[],
  states: ReadonlyMap<string, UnitState>,
): DoctorFinding[] {
  const timers = units.filter(({ name }) => name.endsWith('.timer'));
  const patterns = new Set(own.map(patternOf));
  return [...states].flatMap(([name, { active, result, exitStatus }]) => {
    const isOwn = patterns.has(name) || patterns.has(name.replace(/@.*(?=\.\w+$)/, '@*'));
    if (!isOwn || active !== 'failed') return [];
    const evidence = [`its result is ${quote(result)}, with exit number ${exitStatus}`];
    return [
      name === daemon ? serviceFailed(evidence) : unitFailed(name, [...evidence, ...timersOf(name, timers)]),
    ];
  });
}

/** Entries of cron that run Holdfast where that is not found, or on a machine without a cron. */
export function lookAtCron(entries: readonly CronEntry[]): DoctorFinding[] {
  const own = entries.filter(({ command }) => isHoldfast(command));
  return cronFaults(own, { isExecutable, runsCron: own.length > 0 && runsCron() });
}

/** A command line that has the program as one of its words. */
function isHoldfast(command: string): boolean {
  return /(?:^|[\s/"'=;&|])holdfast(?=[\s"';&|]|$)/.test(command);
}

function timersOf(service: string, timers: readonly Unit[]): string[] {
  return timers
    .filter((timer) => serviceOf(timer) === service)
    .map(({ name }) => `the timer ${quote(name)} starts it`);
}

/** To these, the word is the name of a service, a process, a container or the like. */
const takesNames =
  /(?:^|[\s/"';&|])(?:systemctl|service|journalctl|logger|pgrep|pkill|killall|docker|podman|mail)\s[^;&|]*$/;

/** What keeps entries of cron from doing their work; pure. */
export function cronFaults(
  entries: readonly CronEntry[],
  {
    isExecutable: canRun,
    runsCron: hasCron,
  }: { readonly isExecutable: (file: string) => boolean; readonly runsCron: boolean },
): DoctorFinding[] {
  if (entries.length === 0) return [];
  const lost = entries.flatMap((entry) => {
    const words = entry.command.matchAll(/(?:^|[\s"'=;&|])((?:\/[^\s"';&|]*\/)?holdfast)(?=[\s"';&|]|$)/g);
    const [, program] = words.find(({ index }) => !takesNames.test(entry.command.slice(0, index + 1))) ?? [];
    if (program === undefined) return [];
    const files = program.startsWith('/')
      ? [program]
      : entry.path.split(':').map((folder) => path.join(folder, program));
    return files.some(canRun) ? [] : [programMissing(entry, program)];
  });
  return hasCron ? lost : [...lost, noCron(entries)];
}

function serviceFailed(evidence: readonly string[]): DoctorFinding {
  return {
    id: 'HF-D096',
    rule: 'service-failed',
    severity: 'loss',
    subject: { kind: 'host', name: daemon },
    message: `The service ${quote(daemon)} has failed`,
    meaning: 'No backup is made by itself.',
    evidence,
    remedy: 'See why, mend that, and start it again.',
    commands: [
      ['journalctl', '-u', daemon, '-n', '50'],
      ['systemctl', 'restart', daemon],
    ],
    position: undefined,
    fix: undefined,
  };
}

const timerFails = { id: 'HF-D099', rule: 'timer-fails', severity: 'loss' } as const;
const meaning = 'What it is to do is not done, and a backup that it is to make is missing.';

function unitFailed(name: string, evidence: readonly string[]): DoctorFinding {
  return {
    ...timerFails,
    subject: { kind: 'host', name },
    message: `The unit ${quote(name)}, which runs Holdfast, has failed`,
    meaning,
    evidence,
    remedy: 'See why, mend that, and start it again.',
    commands: [
      ['journalctl', '-u', name, '-n', '50'],
      ['systemctl', 'start', name],
    ],
    position: undefined,
    fix: undefined,
  };
}

function programMissing({ file, line, command, path: searched }: CronEntry, program: string): DoctorFinding {
  return {
    ...timerFails,
    subject: { kind: 'path', name: file },
    message: program.startsWith('/')
      ? `Line ${line} of ${quote(file)} runs ${quote(program)}, which is not there`
      : `Line ${line} of ${quote(file)} runs ${quote(program)}, which is in no folder that cron looks into`,
    meaning,
    evidence: [quote(command.slice(0, 200)), `cron looks into ${quote(searched)}`],
    remedy: 'Write the whole path of the program into that line ("command -v holdfast" shows it).',
    commands: [],
    position: undefined,
    fix: undefined,
  };
}

function noCron(entries: readonly CronEntry[]): DoctorFinding {
  return {
    ...timerFails,
    subject: { kind: 'host', name: 'cron' },
    message: 'Entries of cron run Holdfast, and no cron runs on this machine',
    meaning,
    evidence: entries
      .slice(0, 5)
      .map(({ file, line, command }) => `line ${line} of ${quote(file)}: ${quote(command.slice(0, 200))}`),
    remedy: 'Install or start cron; or let a policy and the daemon do it.',
    commands: [['systemctl', 'enable', '--now', 'cron']],
    position: undefined,
    fix: undefined,
  };
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** By the name of its process; one in a container does nothing for the machine. */
function runsCron(): boolean {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .some((name) => {
      try {
        return (
          // A program of another user's can have any name.
          statSync(`/proc/${name}`).uid === 0 &&
          /^(?:cron|crond|anacron|fcron|bcron-start|systemd-cron\S*)$/.test(
            readFileSync(`/proc/${name}/comm`, 'utf8').trim(),
          ) &&
          containerIdIn(readFileSync(`/proc/${name}/cgroup`, 'utf8')) === undefined
        );
      } catch {
        // It has ended meanwhile.
        return false;
      }
    });
}
