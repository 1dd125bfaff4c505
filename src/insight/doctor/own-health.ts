import path from 'node:path';
import type { Containers } from '../../hosts/containers.ts';
import { knownError } from '../../lib/known-error.ts';
import { isWithin } from '../../model/clean-path.ts';
import { formatDuration } from '../../model/duration.ts';
import { localTime } from '../../model/local-time.ts';
import { quote } from '../../model/quote.ts';
import { amount, formatSize } from '../../model/size.ts';
import type { Policies } from '../../policies/index.ts';
import type { Repositories, Upkeep } from '../../repositories/index.ts';
import type { RecoverReport } from '../../restore/index.ts';
import type { Snapshots } from '../../snapshots/index.ts';
import type { Diagnosis, DoctorFinding, Remark } from './diagnosis.ts';
import type { MountAnswer } from './mount-answers.ts';

/** What of Holdfast is asked for its own health. */
export interface OwnParts {
  readonly stateDir: string;
  readonly now: () => number;
  readonly repositories: Pick<Repositories, 'list' | 'check'> & Pick<Upkeep, 'listKeys'>;
  readonly policies: Pick<Policies, 'nextRuns'>;
  readonly snapshots: Pick<Snapshots, 'list'>;
  /** What the step at the start has brought back, and what it could not. */
  readonly recovered: () => Promise<RecoverReport>;
}

type Answers = ReadonlyMap<string, MountAnswer>;

/** Whether backups will be made, and can be used when they are needed. Looks at each question by itself. */
export async function diagnoseHoldfast(
  parts: OwnParts,
  { containers, answers }: { readonly containers: Containers | undefined; readonly answers: Answers },
  signal: AbortSignal | undefined,
): Promise<Diagnosis> {
  const findings: DoctorFinding[] = [];
  const notLookedAt: Remark[] = [];
  const questions: readonly (readonly [string, () => Promise<readonly DoctorFinding[]>])[] = [
    ['the repositories', () => lookAtRepositories(parts, answers, signal)],
    ['the daemon', () => lookAtDaemon(parts, signal)],
    ['what interrupted work has left', () => lookAtJournals(parts)],
    ["the engine's clock", () => lookAtEngineClock(containers, signal)],
  ];
  for (const [subject, ask] of questions) {
    try {
      findings.push(...(await ask()));
    } catch (error) {
      const { message, code } = knownError(error);
      if (code === 'cancelled') throw error;
      notLookedAt.push({ subject, reason: message });
    }
  }
  return { findings, notLookedAt };
}

const patienceMs = 30_000;

async function lookAtRepositories(
  { repositories, snapshots, stateDir, now }: OwnParts,
  answers: Answers,
  signal: AbortSignal | undefined,
): Promise<DoctorFinding[]> {
  const known = await repositories.list();
  // A folder on storage that hangs is found as such, and would hold this process.
  const asked = known.filter(({ location }) => answers.get(location)?.kind !== 'silent');
  if (asked.length === 0) return [];
  const patience = AbortSignal.timeout(patienceMs);
  const bound = { signal: signal === undefined ? patience : AbortSignal.any([signal, patience]) };
  const states = await repositories.check(
    asked.map(({ name }) => name),
    bound,
  );
  const findings = states.flatMap(({ name, location, error }) =>
    error === undefined ? [] : [unreachable(name, { location, reason: error.message })],
  );
  const main = asked.find(({ isDefault }) => isDefault);
  if (main === undefined || states.some(({ isDefault, error }) => isDefault && error !== undefined))
    return findings;
  const isKeyHere = isOwnKey(main.passwordReference, stateDir);
  if (isKeyHere && (await repositories.listKeys(bound)).length < 2)
    findings.push(oneKey(main.name, main.passwordReference));
  const saved = await snapshots.list({}, bound);
  const ahead = saved.filter(({ time, isOwn }) => isOwn && Date.parse(time) > now() + clockMs);
  if (ahead.length > 0) findings.push(clockBehind(ahead, now()));
  const answer = answers.get(main.location);
  if (answer?.kind === 'room') {
    const newest = new Map(saved.map((one) => [one.paths.join('\0'), one.summary?.bytesStored ?? 0]));
    const wanted = [...newest.values()].reduce((sum, bytes) => sum + bytes, 0);
    if (answer.room.freeBytes < wanted)
      findings.push(noRoom(main.name, { location: main.location, wanted, free: answer.room.freeBytes }));
  }
  return findings;
}

const clockMs = 5 * 60_000;

function isOwnKey(reference: string, stateDir: string): boolean {
  return reference.startsWith('file:') && isWithin(path.resolve(reference.slice('file:'.length)), stateDir);
}

function unreachable(
  name: string,
  { location, reason }: { readonly location: string; readonly reason: string },
): DoctorFinding {
  return finding('HF-D090', 'repository-unreachable', 'loss', {
    subject: { kind: 'repository', name },
    message: `Repository ${quote(name)} cannot be opened: ${reason}`,
    meaning: 'No backup can be made to it, and none restored from it.',
    evidence: [`it is at ${quote(location)}`],
    remedy: 'Bring its storage back, or correct its address, options or password.',
    commands: [['holdfast', 'repo', 'check', name]],
  });
}

function oneKey(name: string, reference: string): DoctorFinding {
  return finding('HF-D091', 'key-only-here', 'loss', {
    subject: { kind: 'repository', name },
    message: `The only key of repository ${quote(name)} is in the state folder of this machine`,
    meaning: 'When this machine is lost, the backups are lost with it, unless you have a copy of that file.',
    evidence: [`its one password comes from ${quote(reference)}`],
    remedy: 'Add a second key in a place that is not this machine.',
    commands: [['holdfast', 'key', 'add', '--new-key-file', '/media/usb/holdfast.key']],
    // A copy of that file cannot be seen from here.
    isHint: true,
  });
}

function clockBehind(
  ahead: readonly { readonly id: string; readonly time: string }[],
  nowMs: number,
): DoctorFinding {
  const newest =
    ahead
      .map(({ time }) => time)
      .toSorted()
      .at(-1) ?? '';
  const ids = ahead.map(({ id }) => id.slice(0, 8));
  return finding('HF-D094', 'clock-behind', 'downtime', {
    subject: { kind: 'host', name: 'clock' },
    message: `The clock of this machine is behind: it shows ${new Date(nowMs).toISOString()}, and a snapshot of it is from ${newest}`,
    meaning:
      'The clock is wrong now, or was wrong then. What is due, what is newest and what may be forgotten goes by it.',
    evidence: [`${ahead.length} of its snapshots are from the future: ${ids.slice(0, 10).join(' ')}`],
    remedy:
      'Set the clock, and let a time service keep it. Only if it is right now, it was wrong when they were saved: forget them once there are newer ones, by the second command without --dry-run.',
    commands: [
      ['timedatectl', 'set-ntp', 'true'],
      // Where the clock is wrong now, these are the newest good backups, or all of them.
      ['holdfast', 'forget', '--dry-run', ...ids],
    ],
  });
}

function noRoom(
  name: string,
  { location, wanted, free }: { readonly location: string; readonly wanted: number; readonly free: number },
): DoctorFinding {
  return finding('HF-D095', 'no-room-for-backup', 'loss', {
    subject: { kind: 'repository', name },
    message: `The next backup may not fit into repository ${quote(name)}: ${formatSize(free)} are free, and the last backups took ${formatSize(wanted)}`,
    meaning: 'A backup that does not fit fails, and from then on nothing new is saved.',
    evidence: [`it is at ${quote(location)}`],
    remedy: 'Forget what is no longer needed, and free its room; or give it more.',
    commands: [['holdfast', 'prune']],
  });
}

const lateMs = 60 * 60_000;
/** What has begun may be a first backup, which takes its time. */
const lateAtWorkMs = 24 * lateMs;

async function lookAtDaemon(
  { policies, now }: OwnParts,
  signal: AbortSignal | undefined,
): Promise<DoctorFinding[]> {
  const { daemon, runs } = await policies.nextRuns({ signal });
  if (runs.length === 0) return [];
  if (daemon === undefined)
    return [
      finding('HF-D092', 'daemon-not-running', 'loss', {
        subject: { kind: 'policy', name: runs[0]?.policy ?? '' },
        message: 'Policies have times, and no daemon runs that would keep them',
        meaning: 'No backup is made by itself.',
        evidence: runs
          .slice(0, 5)
          .map(
            ({ policy, action, name, time }) =>
              `${quote(policy)}: ${action} of ${quote(name)} at ${localTime(time)}`,
          ),
        remedy: 'Start the daemon, as a service that comes back after a boot.',
        commands: [['holdfast', 'setup']],
      }),
    ];
  const late = runs.filter(({ state, attempts, undoneSince = '' }) => {
    const bearableMs = state === 'due' && attempts > 0 ? lateAtWorkMs : lateMs;
    return Date.parse(undoneSince) < now() - bearableMs;
  });
  if (late.length === 0) return [];
  return [
    finding('HF-D093', 'daemon-behind', 'loss', {
      subject: { kind: 'policy', name: late[0]?.policy ?? '' },
      message: `The daemon is behind: ${amount(late.length, 'run')} ${late.length === 1 ? 'has' : 'have'} been due for more than an hour`,
      meaning: 'What changed since the last good backup is not saved.',
      evidence: [
        `the daemon is process ${daemon.pid}, since ${localTime(daemon.since)}`,
        ...late
          .slice(0, 5)
          .map(
            ({ policy, name, undoneSince = '', attempts }) =>
              `${quote(policy)}: ${quote(name)}, due since ${localTime(undoneSince)}, tried ${amount(attempts, 'time')}`,
          ),
      ],
      remedy: late.some(({ attempts }) => attempts > 0)
        ? 'See what it says of them, and mend that: it tries again by itself.'
        : 'It has not come to them: if it does nothing else meanwhile, it hangs, and is to be started anew.',
      commands: [
        ['holdfast', 'policy', 'next'],
        ['holdfast', 'log'],
        ...(late.some(({ attempts }) => attempts > 0) ? [] : [['systemctl', 'restart', 'holdfast']]),
      ],
    }),
  ];
}

async function lookAtJournals({ recovered }: OwnParts): Promise<DoctorFinding[]> {
  const { jobs, hooks, elsewhere } = await recovered();
  const failed = jobs.flatMap(({ reason, error }) => (error === undefined ? [] : [`${reason}: ${error}`]));
  const due = hooks.map(
    ({ command, container }) => `the hook ${quote(command)} in ${quote(container)} is due`,
  );
  if (failed.length + due.length + elsewhere === 0) return [];
  return [
    finding('HF-D097', 'journal-open', 'downtime', {
      subject: { kind: 'host', name: 'journal' },
      message: 'Interrupted work has left containers that are not as they were',
      meaning: 'Applications may be stopped or paused that ran before.',
      evidence: [...failed, ...due, ...(elsewhere > 0 ? [`${elsewhere} of another engine`] : [])],
      remedy: 'Bring them back.',
      commands: [['holdfast', 'recover']],
    }),
  ];
}

async function lookAtEngineClock(
  containers: Containers | undefined,
  signal: AbortSignal | undefined,
): Promise<DoctorFinding[]> {
  const aheadMs = (await containers?.clockAheadMs({ signal })) ?? 0;
  if (Math.abs(aheadMs) < clockMs) return [];
  return [
    finding('HF-D098', 'engine-clock', 'hygiene', {
      subject: { kind: 'host', name: 'clock' },
      message: `The engine's clock is ${formatDuration(Math.abs(aheadMs))} ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine's`,
      meaning: 'Times of containers and of backups cannot be compared.',
      evidence: [],
      remedy: 'Let a time service keep both.',
      commands: [['timedatectl', 'set-ntp', 'true']],
    }),
  ];
}

function finding(
  id: string,
  rule: string,
  severity: DoctorFinding['severity'],
  said: Omit<DoctorFinding, 'id' | 'rule' | 'severity' | 'position' | 'fix'>,
): DoctorFinding {
  return { id, rule, severity, ...said, position: undefined, fix: undefined };
}
