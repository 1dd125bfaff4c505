import type { DataSetName } from './data/data-sets.ts';
import type { FoundPeer, SkippedPeer } from './find-peers.ts';
import type { Peer } from './peers/peer.ts';
import type { Records, Sample } from './records.ts';
import { median, speedRatio, summarize, type Summary } from './statistics.ts';
import { nameStep, type Step } from './steps.ts';

export interface PeerFigures {
  readonly peer: string;
  /** Undefined when nothing counts (see `problem`), or the peer cannot do this. */
  readonly wallMs: Summary | undefined;
  readonly cpuMs: Summary | undefined;
  /** The highest of all rounds; undefined when all were too short to measure. */
  readonly peakBytes: number | undefined;
  /** The growth of its repository: the median. */
  readonly storedBytes: number | undefined;
  /** How many times faster Holdfast is: above 1 it is faster, below 1 slower. */
  readonly ratio: number | undefined;
  readonly problem: string | undefined;
  readonly samples: readonly Sample[];
}

export interface ReportRow {
  readonly title: string;
  readonly dataSet: DataSetName | undefined;
  readonly peers: readonly PeerFigures[];
}

export interface Report {
  readonly rows: readonly ReportRow[];
  readonly peers: readonly { readonly name: string; readonly version: string }[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  /** The failures, in words. */
  readonly failures: readonly string[];
}

export interface ReportInput {
  readonly steps: readonly Step[];
  readonly found: readonly FoundPeer[];
  readonly skipped: readonly SkippedPeer[];
  readonly own: Peer;
  readonly records: Records;
}

/** Turns measurements into figures. Pure. */
export function buildReport({ steps, found, skipped, own, records }: ReportInput): Report {
  const rows = steps.map((step) => buildRow(step, { peers: found.map(({ peer }) => peer), own, records }));
  return {
    rows,
    peers: found.map(({ peer, version }) => ({ name: peer.name, version })),
    skipped: skipped.map(({ peer, reason }) => ({ name: peer.name, reason })),
    failures: describeFailures(rows),
  };
}

/** One per peer and reason, with the rows that lack figures because of it. */
function describeFailures(rows: readonly ReportRow[]): string[] {
  const titles = new Map<string, string[]>();
  for (const row of rows) {
    for (const { peer, problem } of row.peers) {
      if (problem === undefined) continue;
      const reason = `${peer}: ${problem}`;
      titles.set(reason, [...(titles.get(reason) ?? []), nameStep(row)]);
    }
  }
  return [...titles].map(([reason, names]) => `${reason}\n  No figures for: ${names.join('; ')}`);
}

interface RowInput {
  readonly peers: readonly Peer[];
  readonly own: Peer;
  readonly records: Records;
}

function buildRow(step: Step, { peers, own, records }: RowInput): ReportRow {
  const ownMs = median(records.samplesOf(step, own).map(({ wallMs }) => wallMs));
  const figures = peers.map((peer): PeerFigures => {
    const samples = records.samplesOf(step, peer);
    const wallMs = summarize(samples.map((sample) => sample.wallMs));
    return {
      peer: peer.name,
      wallMs,
      cpuMs: summarize(samples.map((sample) => sample.cpuMs)),
      peakBytes: summarize(samples.flatMap((sample) => sample.peakBytes ?? []))?.most,
      storedBytes: median(samples.flatMap(({ storedBytes }) => storedBytes ?? [])),
      ratio: peer === own ? undefined : speedRatio(ownMs, wallMs?.median),
      problem: records.problemOf(step, peer),
      samples,
    };
  });
  return { title: step.title, dataSet: step.dataSet, peers: figures };
}
