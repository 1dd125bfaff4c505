import { knownError } from '../lib/known-error.ts';
import { isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { LoadedConfiguration } from './configuration/load-configuration.ts';
import { machineNames, type ListedSnapshot } from '../snapshots/index.ts';
import type { JobOptions } from '../activity/index.ts';
import { type Assignment, assignPolicies } from './assign-policies.ts';
import { defaultRepositoryOf } from './default-repository.ts';
import type { VolumeScope } from '../leases/index.ts';
import { listSubjects } from './list-subjects.ts';
import { type CoveredPlace, planCoverage } from './plan-coverage.ts';
import type { OpenPolicyApp } from './policy-app.ts';

export interface CoverageReport {
  readonly places: readonly CoveredPlace[];
  /** Repositories that were searched. */
  readonly repositories: readonly string[];
  /** Repositories that could not be opened: what is saved only there counts as unprotected. */
  readonly unreachable: readonly { readonly repository: string; readonly message: string }[];
}

export interface CoverageRequest {
  readonly configuration: LoadedConfiguration;
  /** The repository that the command line or the environment names. */
  readonly repository: string | undefined;
  readonly open: OpenPolicyApp;
}

/** Where all data is, and whether it is protected. */
export async function coverage(
  scope: VolumeScope,
  { configuration, repository: given, open }: CoverageRequest,
  options: JobOptions,
): Promise<CoverageReport> {
  const { signal } = options;
  const { subjects, warnings, hostFailure } = await listSubjects(scope, configuration.policies, options);
  if (hostFailure !== undefined) throw hostFailure;
  for (const warning of warnings) options.onNote?.(`${warning}.`);
  const assignments = assignPolicies(configuration, subjects);
  const fallback = defaultRepositoryOf(scope.catalog, { given, configuration });
  const host = await scope.host();
  const containers = (await host.containers?.list({ signal })) ?? [];
  const found = await snapshotsIn(repositoriesOf(assignments, fallback), open, options);
  return {
    places: planCoverage({
      volumes: await host.listVolumes({ signal }),
      mounts: await host.listMounts({ signal }),
      commands: new Map(containers.map(({ id, command }) => [id, command])),
      subjects,
      assignments,
      snapshots: found.snapshots,
      machines: await machineNames(scope, signal),
      nowMs: Date.now(),
    }),
    repositories: found.repositories,
    unreachable: found.unreachable,
  };
}

function repositoriesOf(assignments: readonly Assignment[], fallback: string): string[] {
  const named = assignments.flatMap(({ policy }) => policy.repositories.map((name) => name || fallback));
  return [...new Set([fallback, ...named])];
}

interface FoundSnapshots extends Pick<CoverageReport, 'repositories' | 'unreachable'> {
  readonly snapshots: readonly ListedSnapshot[];
}

/** A repository that is unavailable must not hide what the others hold. */
async function snapshotsIn(
  repositories: readonly string[],
  open: OpenPolicyApp,
  options: JobOptions,
): Promise<FoundSnapshots> {
  const snapshots: ListedSnapshot[] = [];
  const unreachable: { repository: string; message: string }[] = [];
  for (const repository of repositories) {
    try {
      await using opened = open(repository);
      await opened.recoverAtStart();
      snapshots.push(...(await opened.app.snapshots.list({}, options)));
    } catch (error) {
      if (isAppError(error, 'cancelled')) throw error;
      // Before "init" there is no repository, and everything is unprotected.
      const { message } = knownError(error, `Cannot look into ${quote(repository)}`);
      unreachable.push({ repository, message });
    }
  }
  const knownMs = ({ time, timeDoubt }: ListedSnapshot): number => Date.parse(timeDoubt?.knownTime ?? time);
  snapshots.sort((a, b) => knownMs(a) - knownMs(b));
  return { snapshots, repositories, unreachable };
}
