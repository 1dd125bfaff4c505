import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { quote } from '../../model/quote.ts';
import { containerIdIn } from './credentials.ts';
import type { DoctorFinding } from './diagnosis.ts';
import {
  askUnits,
  commandsOf,
  type CronEntry,
  readCronEntries,
  readUnits,
  serviceOf,
  type Unit,
} from './units.ts';

const daemon = 'holdfast.service';

/** Units of systemd and entries of cron that run Holdfast, and fail. */
export async function diagnoseOwnUnits(signal: AbortSignal | undefined): Promise<readonly DoctorFinding[]> {
  const units = readUnits();
  const own = units.filter((unit) => unit.name === daemon || commandsOf(unit).some(isHoldfast));
  const timers = units.filter(({ name }) => name.endsWith('.timer'));
  const states = await askUnits([...new Set([daemon, ...own.map(({ name }) => name)])], signal);
  const failed = [...states].filter(([, { active }]) => active === 'failed');
  const entries = readCronEntries().filter(({ command }) => isHoldfast(command));
  return [
    ...failed.map(([name, state]) => {
      const evidence = [`its result is ${quote(state.result)}, with exit number ${state.exitStatus}`];
      return name === daemon
        ? serviceFailed(evidence)
        : unitFailed(name, [...evidence, ...timersOf(name, timers)]);
    }),
    ...cronFaults(entries, { isExecutable, runsCron: entries.length > 0 && runsCron() }),
  ];
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
          /^(?:cron|crond|anacron|fcron|bcron-start|systemd-cron\S*)$/.test(
            readFileSync(`/proc/${name}/comm`, 'utf8').trim(),
          ) && containerIdIn(readFileSync(`/proc/${name}/cgroup`, 'utf8')) === undefined
        );
      } catch {
        // It has ended meanwhile.
        return false;
      }
    });
}
