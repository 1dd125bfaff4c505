import { version } from '../../lib/version.ts';
import type { PolicyAnswer, UsagePlace } from '../../catalog/catalog.ts';
import type { PolicyLook } from '../../policies/index.ts';
import { fullAt } from '../usage/history.ts';
import type { IoTotal } from '../usage/top/io-totals.ts';
import { nextDueMs } from './next-due.ts';
import type { RememberedFacts } from './read-facts.ts';
import { type Combine, combineSamples, type Labels, type MetricFamily, type Sample } from './text-format.ts';

export interface MetricsView {
  /** Undefined before the first look. */
  readonly look: PolicyLook | undefined;
  /** Undefined before the catalog was first read. */
  readonly facts: RememberedFacts | undefined;
  /** What volumes have read and written since the daemon began. */
  readonly io: readonly IoTotal[];
  /** It takes in what is new at its next look; without it, nothing does. */
  readonly isDaemonThere: boolean;
  /** The longest gap of a task's schedule. */
  readonly intervalMs: (task: Task) => number;
  readonly nowMs: number;
}

type Task = PolicyLook['tasks'][number];
type Subject = PolicyLook['subjects'][number];
type Samples = readonly Sample[];

/** All metrics, of what was seen and what is remembered; pure. */
export function planMetrics(view: MetricsView): MetricFamily[] {
  const { look, facts } = view;
  return [
    gauge('holdfast_build_info', 'The version that runs.', 'greatest', [{ labels: { version }, value: 1 }]),
    gauge(
      'holdfast_look_timestamp_seconds',
      'When the policies and the volumes were last seen whole; 0 before that.',
      'least',
      // Absent, it would be missed only where no other machine is watched.
      [{ labels: {}, value: look?.isHostSeen === true ? seconds(look.atMs) : 0 }],
    ),
    gauge(
      'holdfast_catalog_read_timestamp_seconds',
      'When the catalog, which all times below come from, was last read.',
      'least',
      facts === undefined ? [] : [{ labels: {}, value: seconds(facts.readAtMs) }],
    ),
    ...(facts === undefined
      ? []
      : [...journalMetrics(facts), ...repositoryMetrics(facts), ...sizeMetrics(facts)]),
    ...ioMetrics(view.io),
    ...(facts === undefined || look === undefined ? [] : policyMetrics({ ...view, facts, look })),
    ...(facts === undefined || look === undefined ? [] : proofMetrics(facts, look)),
  ];
}

interface WholeView extends MetricsView {
  readonly look: PolicyLook;
  readonly facts: RememberedFacts;
}

interface JudgedTask {
  readonly task: Task;
  readonly labels: Labels;
  readonly answer: PolicyAnswer | undefined;
  readonly intervalMs: number;
  readonly dueMs: number | undefined;
  readonly attempts: number;
  readonly runningSinceMs: number | undefined;
}

function policyMetrics(view: WholeView): MetricFamily[] {
  const tasks = judgeTasks(view);
  const of = (value: (judged: JudgedTask) => number | undefined, only?: Task['action']): Samples =>
    tasks.flatMap((judged) => {
      if (only !== undefined && judged.task.action !== only) return [];
      const found = value(judged);
      if (found === undefined) return [];
      const { action, ...subject } = judged.labels;
      return [{ labels: only === undefined ? { action: action ?? '', ...subject } : subject, value: found }];
    });
  const goodAt = ({ answer }: JudgedTask): number | undefined =>
    answer?.good && seconds(Date.parse(answer.good.endedAt));
  return [
    gauge(
      'holdfast_policy_expected_interval_seconds',
      'The longest time between two runs by the schedule.',
      'greatest',
      of(({ intervalMs }) => seconds(intervalMs)),
    ),
    gauge(
      'holdfast_policy_next_due_timestamp_seconds',
      'The first scheduled time that no good run has answered; in the past when it is late.',
      'least',
      of(({ dueMs }) => dueMs && seconds(dueMs)),
    ),
    gauge(
      'holdfast_policy_running_since_timestamp_seconds',
      'When the run under way began.',
      'least',
      of(({ runningSinceMs }) => runningSinceMs && seconds(runningSinceMs)),
    ),
    gauge(
      'holdfast_policy_attempts',
      'How often the time that is due was tried.',
      'greatest',
      of(({ attempts }) => attempts),
    ),
    gauge(
      'holdfast_policy_last_success_timestamp_seconds',
      'When the last good run ended, for actions besides backups and drills.',
      'least',
      of((judged) => (isUpkeep(judged.task) ? goodAt(judged) : undefined)),
    ),
    gauge(
      'holdfast_snapshot_last_success_timestamp_seconds',
      'When the last good backup ended. Absent when there was none.',
      'least',
      of(goodAt, 'backup'),
    ),
    gauge(
      'holdfast_snapshot_grade',
      'How still the data of the last good backup was, by its label; always 1.',
      'greatest',
      tasks.flatMap(({ task, answer, labels }) => {
        const grade = answer?.good?.grade;
        const { action: _, ...subject } = labels;
        return task.action !== 'backup' || grade === undefined
          ? []
          : [{ labels: { ...subject, grade }, value: 1 }];
      }),
    ),
    gauge(
      'holdfast_backup_still_seconds',
      'How long containers were kept still for the last good backup.',
      'greatest',
      of(({ answer }) => answer?.good?.stillMs && seconds(answer.good.stillMs), 'backup'),
    ),
    gauge(
      'holdfast_snapshot_last_drill_success_timestamp_seconds',
      'When a policy’s drill last proved that the data comes back.',
      'least',
      of(goodAt, 'drill'),
    ),
    ...protectionMetrics(view, tasks),
  ];
}

function isUpkeep({ action }: Task): boolean {
  return action !== 'backup' && action !== 'drill';
}

function judgeTasks({ look, facts, isDaemonThere, intervalMs, nowMs }: WholeView): JudgedTask[] {
  const answers = new Map(facts.answers.map((answer) => [keyOf(answer), answer]));
  const running = new Map(facts.running.map((run) => [keyOf(run), Date.parse(run.startedAt)]));
  const cursors = new Map(facts.cursors.map((cursor) => [cursor.task, cursor]));
  return look.tasks.map((task) => {
    const key = keyOf({
      policy: task.policy.name,
      action: task.action,
      repository: task.repository,
      subject: task.subject?.identity ?? '',
    });
    const cursor = cursors.get(task.key);
    const answer = answers.get(key);
    return {
      task,
      answer,
      labels: labelsOf(task),
      intervalMs: intervalMs(task),
      dueMs: nextDueMs(task, { answer, cursor, isDaemonThere }, nowMs),
      attempts: cursor?.attempts ?? 0,
      runningSinceMs: running.get(key),
    };
  });
}

function keyOf(task: Pick<PolicyAnswer, 'policy' | 'action' | 'repository' | 'subject'>): string {
  return JSON.stringify([task.policy, task.action, task.repository, task.subject]);
}

function labelsOf({ action, policy, repository, subject }: Task): Labels {
  return { action, policy: policy.name, ...subjectLabels(subject), repository };
}

/** Anonymous volumes come and go with their containers: they share one series, or each would stay for ever. */
function subjectLabels(subject: Subject | undefined): Labels {
  if (subject === undefined) return { kind: '', volume: '' };
  if (subject.isAnonymous === true) return { kind: 'anonymous', volume: '' };
  return { kind: subject.kind, volume: subject.name };
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** How late a backup may be: a quarter of its interval, from a quarter of an hour to six hours. */
export function graceMs(intervalMs: number): number {
  return Math.min(Math.max(intervalMs / 4, 15 * minuteMs), 6 * hourMs);
}

function protectionMetrics({ look, nowMs }: WholeView, tasks: readonly JudgedTask[]): MetricFamily[] {
  const bySubject = Map.groupBy(
    tasks.filter(({ task }) => task.action === 'backup'),
    ({ task }) => task.subject?.identity,
  );
  const states = look.subjects.map((subject) => ({
    labels: subjectLabels(subject),
    state: stateOf(subject, bySubject.get(subject.identity) ?? [], nowMs),
  }));
  return [
    gauge(
      'holdfast_volume_protected',
      'Whether all scheduled backups of a volume or directory are good and in time, and by its label why not.',
      'least',
      states.map(({ labels, state }) => ({
        labels: { ...labels, state },
        value: state === 'protected' ? 1 : 0,
      })),
    ),
    gauge(
      'holdfast_volumes',
      'How many volumes and directories are in each state.',
      'sum',
      states.map(({ labels: { kind = '' }, state }) => ({ labels: { kind, state }, value: 1 })),
    ),
  ];
}

/**
 * `left-out`: by a label, or as a cache. `unprotected`: no schedule covers it. `waiting`: its first backup is
 * to come. `late`: a backup that was due is not there.
 */
type ProtectionState = 'protected' | 'late' | 'waiting' | 'unprotected' | 'left-out';

function stateOf({ skipped }: Subject, tasks: readonly JudgedTask[], nowMs: number): ProtectionState {
  if (tasks.length === 0) return skipped === undefined ? 'unprotected' : 'left-out';
  const isLate = tasks.some(
    ({ dueMs, intervalMs }) => dueMs !== undefined && nowMs - dueMs > graceMs(intervalMs),
  );
  if (isLate) return 'late';
  return tasks.some(({ answer }) => answer?.good === undefined) ? 'waiting' : 'protected';
}

function proofMetrics(facts: RememberedFacts, look: PolicyLook): MetricFamily[] {
  const subjects = new Map(look.subjects.map((subject) => [subject.identity, subject]));
  const repositoryOf = (id: string): string => facts.repositories.get(id) ?? '';
  const drills = facts.drills.flatMap(({ volumeIdentity, ...drill }) => {
    const subject = subjects.get(volumeIdentity);
    return subject === undefined ? [] : [{ ...drill, labels: subjectLabels(subject) }];
  });
  return [
    gauge(
      'holdfast_snapshot_last_verified_timestamp_seconds',
      'When a snapshot of the volume was last read whole and found intact.',
      'least',
      facts.verified.flatMap(({ volumeIdentity, repositoryId, verifiedAt }) => {
        const subject = subjects.get(volumeIdentity);
        if (subject === undefined) return [];
        const labels = { ...subjectLabels(subject), repository: repositoryOf(repositoryId) };
        return [{ labels, value: seconds(Date.parse(verifiedAt)) }];
      }),
    ),
    gauge(
      'holdfast_drill_timestamp_seconds',
      'When a drill of the volume last had this outcome.',
      'least',
      drills.map(({ labels, outcome, drilledAt }) => ({
        labels: { ...labels, outcome },
        value: seconds(Date.parse(drilledAt)),
      })),
    ),
    gauge(
      'holdfast_drill_recovery_seconds',
      'The time to recover in the last such drill: from nothing to the last server’s first answer.',
      'greatest',
      drills.flatMap(({ labels, outcome, recoverMs }) =>
        recoverMs === undefined ? [] : [{ labels: { ...labels, outcome }, value: seconds(recoverMs) }],
      ),
    ),
  ];
}

function repositoryMetrics({ repositoryStates, repositories }: RememberedFacts): MetricFamily[] {
  const known = repositoryStates.flatMap(({ repositoryId, ...state }) => {
    const repository = repositories.get(repositoryId);
    return repository === undefined ? [] : [{ ...state, labels: { repository } }];
  });
  const of = (value: (state: (typeof known)[number]) => number | undefined): Samples =>
    known.flatMap((state) => {
      const found = value(state);
      return found === undefined ? [] : [{ labels: state.labels, value: found }];
    });
  const at = (time: string | undefined): number | undefined =>
    time === undefined ? undefined : seconds(Date.parse(time));
  return [
    gauge(
      'holdfast_repository_size_bytes',
      'What all packs of the repository take, by the last check or prune.',
      'greatest',
      of(({ sizeBytes }) => sizeBytes),
    ),
    gauge(
      'holdfast_repository_size_timestamp_seconds',
      'When that was found out.',
      'least',
      of(({ sizeAt }) => at(sizeAt)),
    ),
    gauge(
      'holdfast_repository_unused_bytes',
      'What no snapshot needs of it, by the last prune.',
      'greatest',
      of(({ unusedBytes }) => unusedBytes),
    ),
    gauge(
      'holdfast_repository_unused_timestamp_seconds',
      'When that was found out.',
      'least',
      of(({ unusedAt }) => at(unusedAt)),
    ),
    gauge(
      'holdfast_repository_check_timestamp_seconds',
      'When a check of the repository last had this outcome.',
      'least',
      known.flatMap(({ labels, goodCheckAt, failedCheckAt }) =>
        [
          { outcome: 'good', time: at(goodCheckAt) },
          { outcome: 'failed', time: at(failedCheckAt) },
        ].flatMap(({ outcome, time }) =>
          time === undefined ? [] : [{ labels: { ...labels, outcome }, value: time }],
        ),
      ),
    ),
  ];
}

function ioMetrics(io: readonly IoTotal[]): MetricFamily[] {
  const counter = (
    name: string,
    help: string,
    value: (total: IoTotal) => number | undefined,
  ): MetricFamily => {
    const samples = io.flatMap((total) => {
      const { volume, how } = total;
      const found = value(total);
      const labels = { kind: volume === undefined ? 'anonymous' : 'volume', volume: volume ?? '', how };
      return found === undefined ? [] : [{ labels, value: found }];
    });
    return { ...gauge(name, help, 'sum', samples), type: 'counter' };
  };
  return [
    counter(
      'holdfast_volume_read_bytes_total',
      'What was read of the volume since the daemon began; by its label exact, or shared out.',
      ({ readBytes }) => readBytes,
    ),
    counter('holdfast_volume_written_bytes_total', 'The same, written.', ({ writtenBytes }) => writtenBytes),
    counter(
      'holdfast_volume_reads_total',
      'How often it was read, where that is known.',
      ({ reads }) => reads,
    ),
    counter('holdfast_volume_writes_total', 'The same, written.', ({ writes }) => writes),
  ];
}

function sizeMetrics({ places }: RememberedFacts): MetricFamily[] {
  const volumes = places.filter(({ kind }) => kind === 'volume');
  const disks = places.filter(({ kind }) => kind === 'disk');
  const ofVolumes = (value: (place: UsagePlace) => number | undefined): Samples =>
    volumes.flatMap((place) => {
      const { anonymous, name } = place;
      const found = value(place);
      const labels = anonymous ? { kind: 'anonymous', volume: '' } : { kind: 'volume', volume: name };
      return found === undefined ? [] : [{ labels, value: found }];
    });
  const ofDisks = (value: (place: UsagePlace) => number | undefined): Samples =>
    disks.flatMap((place) => {
      const found = value(place);
      return found === undefined ? [] : [{ labels: { disk: place.name }, value: found }];
    });
  return [
    gauge(
      'holdfast_volume_size_bytes',
      'The last known size.',
      'sum',
      ofVolumes(({ bytes }) => bytes),
    ),
    gauge(
      'holdfast_volume_files',
      'The last known number of files.',
      'sum',
      ofVolumes(({ files }) => files),
    ),
    gauge(
      'holdfast_volume_size_timestamp_seconds',
      'When the size was measured.',
      'least',
      ofVolumes(({ measuredAtMs }) => measuredAtMs && seconds(measuredAtMs)),
    ),
    gauge(
      'holdfast_volume_growth_bytes_per_day',
      'How fast it grows, by its history.',
      'sum',
      ofVolumes(({ growthBytesPerDay }) => growthBytesPerDay),
    ),
    gauge(
      'holdfast_disk_size_bytes',
      'The size of a disk that volumes lie on.',
      'greatest',
      ofDisks(({ capacityBytes }) => capacityBytes),
    ),
    gauge(
      'holdfast_disk_free_bytes',
      'What programs without privileges can still use of it.',
      'least',
      ofDisks(({ freeBytes }) => freeBytes),
    ),
    gauge(
      'holdfast_disk_full_timestamp_seconds',
      'When it will be full if it grows on as it did. Absent when that is more than ten years away.',
      'least',
      ofDisks(({ freeBytes, growthBytesPerDay, measuredAtMs }) => {
        if (measuredAtMs === undefined) return undefined;
        const full = fullAt(freeBytes, growthBytesPerDay, measuredAtMs);
        return full && seconds(full.getTime());
      }),
    ),
  ];
}

function journalMetrics({ journals }: RememberedFacts): MetricFamily[] {
  return [
    gauge(
      'holdfast_journal_open_entries',
      'Work that is under way, or was killed and waits for a recovery.',
      'sum',
      journals.map(({ kind, entries }) => ({ labels: { kind }, value: entries })),
    ),
  ];
}

function gauge(name: string, help: string, combine: Combine, samples: Samples): MetricFamily {
  return { name, help, samples: combineSamples(samples, combine) };
}

function seconds(ms: number): number {
  return ms / 1000;
}
