export const benchProfiles = ['database', 'stream', 'random', 'files'] as const;
export type BenchProfile = (typeof benchProfiles)[number];

interface MeasureFacts {
  readonly profile: BenchProfile;
  readonly title: string;
  readonly unit: MeasureUnit;
}

export type MeasureUnit = 'commits' | 'bytes' | 'operations';

/** All that is measured, in the order in which it is shown. Rates are per second. */
export const measureFacts = {
  'commit-2300': { profile: 'database', title: 'commits of 2.3 kB', unit: 'commits' },
  'commit-8k': { profile: 'database', title: 'commits of 8 KiB', unit: 'commits' },
  'stream-write': { profile: 'stream', title: 'writing in a row', unit: 'bytes' },
  'stream-read': { profile: 'stream', title: 'reading in a row', unit: 'bytes' },
  'random-write': { profile: 'random', title: 'writing 4 KiB anywhere', unit: 'operations' },
  'random-read': { profile: 'random', title: 'reading 4 KiB anywhere', unit: 'operations' },
  'files-create': { profile: 'files', title: 'making small files', unit: 'operations' },
  'files-stat': { profile: 'files', title: 'looking at them', unit: 'operations' },
  'files-read': { profile: 'files', title: 'reading them', unit: 'operations' },
  'files-remove': { profile: 'files', title: 'removing them', unit: 'operations' },
} as const satisfies Record<string, MeasureFacts>;

export type MeasureName = keyof typeof measureFacts;

export interface Measure {
  readonly name: MeasureName;
  /** Per second: commits, bytes or operations. */
  readonly rate: number;
  /**
   * Of one operation, or for commits of making it durable (fdatasync); undefined where it was not measured.
   */
  readonly latency: Latency | undefined;
}

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

/** A latency for people: `1.4 ms`, `40 µs`. */
export function formatLatency(ms: number): string {
  if (ms < 0.1) return `${Math.max(1, Math.round(ms * 1000))} µs`;
  return `${ms < 10 ? ms.toFixed(ms < 1 ? 2 : 1) : Math.round(ms)} ms`;
}
