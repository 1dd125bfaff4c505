import { version } from '../../lib/version.ts';
import type { UsagePlace } from '../../catalog/catalog.ts';
import type { PolicyLook } from '../../policies/index.ts';
import { fullAt } from '../usage/history.ts';
import type { IoTotal } from '../usage/top/io-totals.ts';
import { policyMetrics, type PolicyView, subjectLabels } from './policy-metrics.ts';
import type { RememberedFacts } from './read-facts.ts';
import { gauge, type MetricFamily, type Sample, seconds } from './text-format.ts';

type Samples = readonly Sample[];

export interface MetricsView extends Omit<PolicyView, 'look' | 'facts'> {
  /** Undefined before the first look. */
  readonly look: PolicyLook | undefined;
  /** Undefined before the catalog was first read. */
  readonly facts: RememberedFacts | undefined;
  /** What volumes have read and written since the daemon began. */
  readonly io: readonly IoTotal[];
}

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
