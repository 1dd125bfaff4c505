import { AppError } from '../src/model/errors.ts';
import type { DataSetName } from './data/data-sets.ts';
import type { Peer } from './peers/peer.ts';
import type { Cost } from './run-measured.ts';
import type { Step } from './steps.ts';

export interface Sample extends Cost {
  /** The growth of the repository on the disk; for backups only. */
  readonly storedBytes?: number;
}

/** The measurements so far, and which of them do not count. */
export interface Records {
  add(step: Step, peer: Peer, sample: Sample): void;
  /** A step failed: its time does not count in any round. */
  fail(step: Step, peer: Peer, reason: string): void;
  /** A peer restored wrong data: none of its times with this data set counts. */
  distrust(peer: Peer, dataSet: DataSetName, reason: string): void;
  samplesOf(step: Step, peer: Peer): readonly Sample[];
  problemOf(step: Step, peer: Peer): string | undefined;
}

/** What happened, with the program's last output. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof AppError)) return error instanceof Error ? error.message : String(error);
  return error.detail === undefined ? error.message : `${error.message}\n${error.detail}`;
}

export function newRecords(): Records {
  const samples = new Map<string, Sample[]>();
  const failures = new Map<string, string>();
  const distrusted = new Map<string, string>();
  const keyOf = (step: Step, peer: Peer): string => `${step.title}/${step.dataSet ?? ''}/${peer.name}`;
  const pairOf = (peer: Peer, dataSet: DataSetName): string => `${peer.name}/${dataSet}`;
  const keepFirst = (map: Map<string, string>, key: string, reason: string): void => {
    if (!map.has(key)) map.set(key, reason);
  };
  const problemOf = (step: Step, peer: Peer): string | undefined =>
    (step.dataSet === undefined ? undefined : distrusted.get(pairOf(peer, step.dataSet))) ??
    failures.get(keyOf(step, peer));
  return {
    add: (step, peer, sample) => {
      const key = keyOf(step, peer);
      samples.set(key, [...(samples.get(key) ?? []), sample]);
    },
    fail: (step, peer, reason) => keepFirst(failures, keyOf(step, peer), reason),
    distrust: (peer, dataSet, reason) => keepFirst(distrusted, pairOf(peer, dataSet), reason),
    samplesOf: (step, peer) =>
      problemOf(step, peer) === undefined ? (samples.get(keyOf(step, peer)) ?? []) : [],
    problemOf,
  };
}
