import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { runProgram } from '../../lib/run-program.ts';
import { isAppError } from '../../model/errors.ts';

/** A unit of systemd as its files have it. */
export interface Unit {
  /** `db.service` */
  readonly name: string;
  /** With what its folder of further settings holds. */
  readonly text: string;
}

/** What systemd says of a unit now. */
export interface UnitState {
  /** `active`, `activating`, `inactive`, `failed`. */
  readonly active: string;
  /** How it last ended: `success`, `exit-code`. */
  readonly result: string;
  /** The last exit number of its program. */
  readonly exitStatus: string;
}

/** In the order in which systemd takes the first of a name; that of generated units is where Podman's Quadlet writes. */
const folders = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/run/systemd/generator',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
];

const mostBytes = 65_536;

/** Services and timers of the system; none where systemd does not run. */
export function readUnits(): Unit[] {
  return existsSync('/run/systemd/system') ? unitsIn(folders) : [];
}

/** Of two with one name the first counts. */
export function unitsIn(places: readonly string[]): Unit[] {
  const found = new Map<string, Unit>();
  for (const folder of places)
    for (const name of namesIn(folder).filter((each) => /\.(?:service|timer)$/.test(each)))
      if (!found.has(name)) {
        const further = namesIn(path.join(folder, `${name}.d`)).filter((each) => each.endsWith('.conf'));
        const files = [name, ...further.map((each) => path.join(`${name}.d`, each))];
        found.set(name, { name, text: files.map((file) => textOf(path.join(folder, file))).join('\n') });
      }
  return [...found.values()];
}

/** Commands of a service, in the order of its file; an empty line takes back those before it. Pure. */
export function commandsOf({ name, text }: Unit): string[] {
  const base = name.replace(/\.\w+$/, '');
  const names: Readonly<Record<string, string>> = { n: name, N: base, p: base.replace(/@.*$/, ''), '%': '%' };
  let commands: string[] = [];
  for (const [, key = '', value = ''] of text
    .replaceAll(/\\\n\s*/g, ' ')
    .matchAll(/^(Exec(?:Start|StartPre|StartPost))=[-@:+!]*(.*)$/gm))
    if (value.trim() !== '')
      commands.push(value.replaceAll(/%([nNp%])/g, (_, one: string) => names[one] ?? ''));
    else if (key === 'ExecStart') commands = [];
  return commands;
}

/** The service that a timer starts; pure. */
export function serviceOf({ name, text }: Unit): string {
  return /^Unit=(\S+)\s*$/m.exec(text)?.[1] ?? name.replace(/\.timer$/, '.service');
}

/** Empty where systemd does not run. Of a template, its instances that systemd has loaded are asked. */
export async function askUnits(
  names: readonly string[],
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, UnitState>> {
  if (names.length === 0 || !existsSync('/run/systemd/system')) return new Map();
  const properties = 'Id,ActiveState,Result,ExecMainStatus';
  const shown = await runProgram('systemctl', ['show', '-p', properties, '--', ...names.map(patternOf)], {
    timeoutMs: 5000,
    signal,
  }).catch((error: unknown) => {
    // Systems with another manager of services may have the folder.
    if (isAppError(error, 'unsupported')) return undefined;
    throw error;
  });
  return parseStates(shown?.stdout ?? '');
}

/** A template itself has no state: asked for it, systemctl ends, and is silent about all names after it. Pure. */
export function patternOf(name: string): string {
  return name.replace(/@(?=\.\w+$)/, '@*');
}

/** What `systemctl show` prints: a block for each unit; pure. */
export function parseStates(text: string): ReadonlyMap<string, UnitState> {
  const states = new Map<string, UnitState>();
  for (const block of text.split(/\n\s*\n/)) {
    const of = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(block)?.[1] ?? '';
    if (of('Id') !== '')
      states.set(of('Id'), {
        active: of('ActiveState'),
        result: of('Result'),
        exitStatus: of('ExecMainStatus'),
      });
  }
  return states;
}

/** A line of a table of cron. */
export interface CronEntry {
  readonly file: string;
  readonly line: number;
  readonly command: string;
  /** `17 3 * * *`, `@daily` */
  readonly times: string;
  /** Undefined where neither the line nor the file names one. */
  readonly user: string | undefined;
  /** Where cron looks for programs. */
  readonly path: string;
  /** What the table and the line set for Holdfast, if they do. */
  readonly stateDir: string | undefined;
}

const cronFolders: readonly (readonly [folder: string, hasUser: boolean])[] = [
  ['/etc/cron.d', true],
  ['/var/spool/cron/crontabs', false],
  ['/var/spool/cron', false],
];

/** The entries of all users' tables that this user may read, with when their table was last changed. */
export function readCronEntries(): (CronEntry & { readonly changedMs: number })[] {
  const files = cronFolders.flatMap(([folder, hasUser]) =>
    namesIn(folder).map((name) => ({ file: path.join(folder, name), hasUser })),
  );
  return [{ file: '/etc/crontab', hasUser: true }, ...files].flatMap(({ file, hasUser }) => {
    const changedMs = changedAt(file);
    return parseCron(textOf(file), file, hasUser).map((entry) => ({ ...entry, changedMs }));
  });
}

/** The format of crontab(5); `hasUser` for those of the system, which name a user before the command. Pure. */
export function parseCron(text: string, file: string, hasUser: boolean): CronEntry[] {
  let searched = '/usr/bin:/bin';
  let state: string | undefined;
  return text.split('\n').flatMap((line, index): CronEntry[] => {
    const [, key, value] = /^\s*(\w+)\s*=\s*["']?(.*?)["']?\s*$/.exec(line) ?? [];
    if (key === 'PATH') searched = value ?? '';
    if (key === 'HOLDFAST_STATE_DIR') state = value;
    const [, times, rest] = /^\s*(@\w+|[\d*][\d*/,-]*(?:\s+[\w*][\w*/,-]*){4})\s+(.+)$/.exec(line) ?? [];
    if (key !== undefined || times === undefined || rest === undefined) return [];
    const [, user, command = rest] = (hasUser && /^(\S+)\s+(.+)$/.exec(rest)) || [
      '',
      hasUser ? undefined : path.basename(file),
    ];
    const [, own] = /(?:HOLDFAST_STATE_DIR=|--state-dir[\s=])["']?([^\s"';&|]+)/.exec(command) ?? [];
    return [{ file, line: index + 1, command, times, user, path: searched, stateDir: own ?? state }];
  });
}

function changedAt(file: string): number {
  try {
    return statSync(file).mtimeMs;
  } catch {
    // A link that leads nowhere, or to where this user may not look: nothing is read there, either.
    return 0;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // Not there, or closed to this user.
    return [];
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8').slice(0, mostBytes);
  } catch {
    // A link that leads nowhere: a unit that is masked. Or a folder.
    return '';
  }
}
