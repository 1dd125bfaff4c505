import type { SaveProblem, Snapshot } from '../model/snapshot.ts';
import type { FillResult } from './fill-directory.ts';
import type { RestorePlan } from './restore-plan.ts';
import type { LiveSwapReport } from './swap-live.ts';

export interface RestoreReport {
  readonly snapshot: Snapshot;
  /** The volume's name or the directory. */
  readonly name: string;
  readonly created: boolean;
  readonly files: number;
  readonly bytes: number;
  /** So much of it is the same as in the data that was there, and was taken from there. */
  readonly bytesTaken: number;
  /** Metadata that could not be set, and what the way to the data cannot carry. */
  readonly problems: readonly SaveProblem[];
  /** What was there before, when it was saved. */
  readonly safetySnapshot: Snapshot | undefined;
  /** Names of the containers that were stopped and started again, and how long they did not run. */
  readonly stopped: readonly string[];
  readonly stillMs: number;
  /** How long an undo can bring back what was there; 0 when it cannot. */
  readonly keptForMs: number;
}

export interface Done {
  readonly filled: FillResult;
  readonly created: boolean;
  readonly safetySnapshot: Snapshot | undefined;
  readonly swap: LiveSwapReport | undefined;
}

export function reportOf(plan: RestorePlan, { filled, created, safetySnapshot, swap }: Done): RestoreReport {
  const { files, bytes, bytesTaken = 0, problems } = filled;
  return {
    snapshot: plan.snapshot,
    name: plan.destination.name,
    created,
    files,
    bytes,
    bytesTaken,
    problems,
    safetySnapshot,
    stopped: swap?.stopped ?? [],
    stillMs: swap?.stillMs ?? 0,
    keptForMs: plan.keepForMs,
  };
}
