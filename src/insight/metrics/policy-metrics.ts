import type { PolicyAnswer } from '../../catalog/catalog.ts';
import type { PolicyLook } from '../../policies/index.ts';
import { nextDueMs } from './next-due.ts';
import type { RememberedFacts } from './read-facts.ts';
import { gauge, type Labels, type MetricFamily, type Sample, seconds } from './text-format.ts';

type Task = PolicyLook['tasks'][number];
type Subject = PolicyLook['subjects'][number];
type Samples = readonly Sample[];

export interface PolicyView {
  readonly look: PolicyLook;
  readonly facts: RememberedFacts;
  /** It takes in what is new at its next look; without it, nothing does. */
  readonly isDaemonThere: boolean;
  /** The longest gap of a task's schedule, in milliseconds. */
  readonly intervalMs: (task: Task) => number;
  /** In milliseconds since 1970. */
  readonly nowMs: number;
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

/** How each task of the policies stands, and whether each volume is protected by them. Pure. */
export function policyMetrics(view: PolicyView): MetricFamily[] {
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

function judgeTasks({ look, facts, isDaemonThere, intervalMs, nowMs }: PolicyView): JudgedTask[] {
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

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** How late a backup may be: a quarter of its interval, from a quarter of an hour to six hours. */
function graceMs(intervalMs: number): number {
  return Math.min(Math.max(intervalMs / 4, 15 * minuteMs), 6 * hourMs);
}

function protectionMetrics({ look, nowMs }: PolicyView, tasks: readonly JudgedTask[]): MetricFamily[] {
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

/** Anonymous volumes come and go with their containers: they share one series, or each would stay for ever. */
export function subjectLabels(subject: Subject | undefined): Labels {
  if (subject === undefined) return { kind: '', volume: '' };
  if (subject.isAnonymous === true) return { kind: 'anonymous', volume: '' };
  return { kind: subject.kind, volume: subject.name };
}
