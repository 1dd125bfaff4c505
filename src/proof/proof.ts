import { type JobOptions, logged, type LoggedState } from '../activity/index.ts';
import { openSources, type SnapshotAccess } from '../snapshots/index.ts';
import type { CheckReport } from '../repository/index.ts';
import { checkAll, type CheckRequest } from './check.ts';
import type { DrillReport, DrillRequest } from './drill/drill-types.ts';
import { verify, type VerifyReport, type VerifyRequest } from './verify.ts';
import { drill } from './drill/drill.ts';

/** Proves that snapshots can be restored. */
export interface Proof {
  /** Verifies the repository's structure, and as much of its data as requested. */
  check(request: CheckRequest, options?: JobOptions): Promise<CheckReport>;
  /** Verifies chosen snapshots with the data that they need. Damage is in the report. */
  verify(request: VerifyRequest, options?: JobOptions): Promise<VerifyReport>;
  /**
   * Restores beside, starts the recorded image on it, and asks for the data. A failed snapshot is in the
   * report.
   */
  drill(request: DrillRequest, options?: JobOptions): Promise<DrillReport>;
}

export function openProof(access: SnapshotAccess & LoggedState): Proof {
  const { stateDir, log } = access;
  return {
    check: async (request, options = {}) => await checkAll(await openSources(access), request, options),
    async verify(request, options = {}) {
      const sources = await openSources(access);
      const repository = sources.repository.id;
      return await logged(log, {
        event: { kind: 'verify', repository },
        work: () => verify(sources, request, options),
        done: ({ volumes }) =>
          volumes.map(({ name, errors, snapshots }) => ({
            kind: 'verify',
            outcome: errors.length === 0 ? 'good' : 'failed',
            volume: name,
            snapshot: snapshots[0]?.id,
            repository,
            message: errors[0],
          })),
      });
    },
    async drill(request, options = {}) {
      const sources = await openSources(access);
      const repository = sources.repository.id;
      return await logged(log, {
        event: { kind: 'drill', volume: request.target, repository },
        work: () => drill({ ...sources, stateDir, log }, request, options),
        done: (report) => [
          {
            kind: 'drill',
            outcome: report.outcome === 'failed' ? 'failed' : 'good',
            volume: report.target,
            snapshot: report.kind === 'volume' ? report.volumes[0]?.snapshotId : undefined,
            repository,
            message: report.problems[0],
          },
        ],
      });
    },
  };
}

export type * from './drill/drill-types.ts';
export type { VerifyReport, VerifyRequest, VolumeVerification } from './verify.ts';
