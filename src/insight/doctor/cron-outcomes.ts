import type { AuditLog } from '../../activity/index.ts';
import { allVolumes } from '../../backup/index.ts';
import { openTimetable, type Timetable } from '../../lib/schedule.ts';
import { isAppError } from '../../model/errors.ts';
import type { LogEntry } from '../../model/log-entry.ts';
import type { Volume } from '../../model/volume.ts';
import { whySkipped } from '../../volumes/index.ts';
import { quote } from '../../model/quote.ts';
import { usualStateDir } from '../../model/usual-places.ts';
import type { DoctorFinding } from './diagnosis.ts';
import type { CronEntry } from './units.ts';

const hourMs = 60 * 60_000;
/** A backup that began at a time of cron's has come to its end, or failed, so long after it. */
const endedMs = 6 * hourMs;

/**
 * Backups that cron has begun, and that failed or are not in the log. Cron keeps no exit numbers: what an entry did
 * is known by Holdfast's own log, where the entry uses the same state folder. Of other commands nothing is known.
 */
export async function cronOutcomes(
  entries: readonly (CronEntry & { readonly changedMs: number })[],
  {
    log,
    volumes,
    stateDir,
    nowMs,
  }: {
    readonly log: Pick<AuditLog, 'list'>;
    /** All there are; none where the engine does not answer. */
    readonly volumes: readonly Volume[];
    readonly stateDir: string;
    readonly nowMs: number;
  },
): Promise<DoctorFinding[]> {
  const due = entries.flatMap((entry) => {
    const before = wordsBefore(entry.command);
    if (before === undefined || isOfOther.test(before)) return [];
    if ((entry.stateDir ?? stateOf(entry)) !== stateDir) return [];
    const timetable = timetableOf(entry);
    const cameMs = timetable?.last(nowMs - endedMs);
    if (timetable === undefined || cameMs === undefined) return [];
    return [{ entry, timetable, cameMs, mayBeLeftOut: isConditional.test(before) }];
  });
  if (due.length === 0) return [];
  // The log is read whole, however little is wanted of it.
  const sinceMs = Math.min(...due.map(({ cameMs }) => cameMs));
  const logged = await log.list({ kinds: ['backup'], sinceMs });
  return due.flatMap(({ entry, timetable, cameMs, mayBeLeftOut }) => {
    const saved = logged.filter(({ time }) => Date.parse(time) >= cameMs);
    const failed = failedAtTimes(saved, timetable)
      .filter(({ volume, time }) => !isSavedSince(membersOf(volume, volumes), time, saved))
      .filter(({ volume, time }) => Date.parse(time) >= entry.changedMs || maySave(entry, volume));
    if (failed.length > 0) return [backupFailed(entry, failed)];
    // An entry that was written or changed since may not have had that time.
    const isMissed = saved.length === 0 && entry.changedMs < cameMs && !mayBeLeftOut;
    return isMissed ? [notInLog(entry, cameMs)] : [];
  });
}

/** The command after the program and its flags: a repository may be called so, too. */
const isBackup =
  /(?:^|[\s/"'=;&|])holdfast["']?(?:\s+-[^\s;&|]+(?:\s+[^\s;&|-][^\s;&|]*)?)*\s+backup(?=[\s"';&|]|$)/;

/** What stands before the program in a command that makes a backup; undefined for other commands. */
function wordsBefore(command: string): string | undefined {
  const found = isBackup.exec(command);
  return found === null ? undefined : command.slice(0, found.index + 1);
}

/** What these run is in a container, on another machine, or another user's: its log is not this one. */
const isOfOther =
  /(?:^|[\s/"';&|])(?:docker|podman|nerdctl|kubectl|lxc|incus|ssh|chroot|nsenter|machinectl|su|sudo|runuser|setpriv)\s[^;&|]*$/;

/** `[ "$(date +\%d)" -le 7 ] && …`, `test -d /run/systemd/system || …` */
const isConditional = /(?:^|[\s;&|])(?:\[|test\s|if\s)|\|\|/;

function stateOf({ user }: CronEntry): string | undefined {
  return user === 'root' ? usualStateDir : undefined;
}

/** Undefined for `@reboot`, and for times that only this cron knows. */
function timetableOf({ times }: CronEntry): Timetable | undefined {
  try {
    return openTimetable({ patterns: [times], timeZone: undefined });
  } catch (error) {
    if (!isAppError(error, 'usage')) throw error;
    return undefined;
  }
}

/** What failed after a time of the entry, and was not saved since; the last of each volume. Pure. */
function failedAtTimes(saved: readonly LogEntry[], timetable: Timetable): LogEntry[] {
  const last = new Map(saved.map((entry) => [entry.volume, entry]));
  return [...last.values()].filter(({ outcome, time }) => {
    const atMs = Date.parse(time);
    const begunMs = timetable.last(atMs);
    return outcome === 'failed' && begunMs !== undefined && atMs < begunMs + endedMs;
  });
}

/**
 * The volumes behind a name with which a backup failed before it came to any of them; a good one is logged for each
 * volume alone.
 */
function membersOf(name: string | undefined, volumes: readonly Volume[]): string[] {
  // A stack's external volume may be called as the stack is: what was saved of that is not this one.
  if (volumes.some((volume) => volume.name === name)) return [];
  const wanted = volumes.filter(
    (volume) =>
      name === allVolumes ||
      volume.stack === name ||
      volume.consumers.some((consumer) => consumer.name === name || consumer.id === name),
  );
  return wanted.filter((volume) => whySkipped(volume) === undefined).map((volume) => volume.name);
}

function isSavedSince(names: readonly string[], since: string, saved: readonly LogEntry[]): boolean {
  const last = new Map(saved.map((entry) => [entry.volume, entry]));
  return (
    names.length > 0 &&
    names.every((name) => {
      const { outcome = 'failed', time = '' } = last.get(name) ?? {};
      return outcome !== 'failed' && Date.parse(time) > Date.parse(since);
    })
  );
}

/** Of a line that was changed since: what it does not name any more is no longer its business. */
function maySave({ command }: CronEntry, name = ''): boolean {
  const isMany = /\s(?:--(?:all|stack|container)\b|-[a-z]*a)/.test(command);
  return command.includes(name) || isMany || /[$~`]|\s\.\.?|\bxargs\b/.test(command);
}

function backupFailed(entry: CronEntry, failed: readonly LogEntry[]): DoctorFinding {
  return {
    ...ofCron(entry),
    message: `Line ${entry.line} of ${quote(entry.file)} saves, and what it was to save at its last time has failed`,
    meaning: 'What changed since the last good backup is not saved.',
    evidence: [
      quote(entry.command.slice(0, 200)),
      ...failed
        .slice(0, 10)
        .map(({ volume = '', time, message = '' }) => `${time} ${quote(volume)}: ${message.slice(0, 300)}`),
    ],
    remedy: 'Mend what the log names, or take what is no longer there out of that line.',
    commands: [['holdfast', 'log']],
  };
}

function notInLog(entry: CronEntry, cameMs: number): DoctorFinding {
  return {
    ...ofCron(entry),
    message: `Line ${entry.line} of ${quote(entry.file)} saves, and no backup is in the log since its last time`,
    meaning:
      'Cron did not run it, since the machine was off or cron was; or it failed before it could write to the log.',
    evidence: [
      quote(entry.command.slice(0, 200)),
      `it was due at ${new Date(cameMs).toISOString()}, and cron does not keep how it ended`,
    ],
    remedy: 'Run the command of that line by hand, with the PATH that cron has, and see what it says.',
    commands: [['holdfast', 'log']],
  };
}

function ofCron({
  file,
}: CronEntry): Pick<DoctorFinding, 'id' | 'rule' | 'severity' | 'subject' | 'position' | 'fix'> {
  return {
    id: 'HF-D099',
    rule: 'timer-fails',
    severity: 'loss',
    subject: { kind: 'path', name: file },
    position: undefined,
    fix: undefined,
  };
}
