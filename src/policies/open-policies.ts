import type { AnomalyRecord, PolicyRunRecord } from '../model/policy-run.ts';
import { quote } from '../model/quote.ts';
import { type LoadedConfiguration, parseConfiguration } from './configuration/load-configuration.ts';
import type { PlacedValue } from '../lib/read-document.ts';
import type { JobOptions } from '../activity/index.ts';
import { coverage, type CoverageReport } from './coverage.ts';
import type { PolicyLook } from './daemon.ts';
import { type DaemonState, findDaemon } from './daemon-lock.ts';
import type { CoveredPlace, PlaceKind, PlaceState } from './plan-coverage.ts';
import type { Policy } from '../model/policy.ts';
import type { PoliciesAccess } from './policy-app.ts';
import {
  findPolicy,
  type NextRun,
  nextRuns,
  type PolicyStatus,
  policyStatuses,
  viewPolicies,
} from './policy-status.ts';
import { type PolicyBackup, type PolicyRunReport, runPolicy, type RunPolicyRequest } from './run-policy.ts';
import { type DaemonRequest, runAsService } from './run-as-service.ts';
import type { VolumeScope } from '../leases/index.ts';
import { openPolicyWork } from './policy-work.ts';
import { errorInWords, knownError } from '../lib/known-error.ts';
import { happeningOfRun } from './tell-of-look.ts';
import type { PolicyMemory } from '../catalog/catalog.ts';
import { AppError } from '../model/errors.ts';

/** Automatic protection: policies, and the daemon that runs them. */
export interface Policies {
  /** The content of `holdfast.yaml`. `usage` when it is not usable. */
  configuration(): Promise<LoadedConfiguration>;
  /** What a daemon that starts now puts in force: where the file is not usable, what was before. */
  upcomingConfiguration(): Promise<LoadedConfiguration>;
  /** `usage` when this content of a configuration file would not be usable. */
  checkConfiguration(wanted: { readonly file: string; readonly content: string }): Promise<void>;
  /** All policies with what they cover, their last runs and their next. */
  list(options?: JobOptions): Promise<PolicyStatus[]>;
  /** `not-found` lists the existing ones. */
  show(name: string, options?: JobOptions): Promise<PolicyStatus>;
  /** Runs a policy now. Failures are in the report. */
  run(request: RunPolicyRequest, options?: JobOptions): Promise<PolicyRunReport>;
  readonly asJson: { run(report: PolicyRunReport): object };
  /** The next runs, the earliest first, and the daemon that will run them. */
  nextRuns(
    options?: JobOptions,
  ): Promise<{ readonly daemon: DaemonState | undefined; readonly runs: readonly NextRun[] }>;
  /** Newest first. */
  history(filter: {
    readonly policy?: string | undefined;
    readonly limit: number;
  }): Promise<PolicyRunRecord[]>;
  /** Volumes that look damaged; nothing of them is forgotten or pruned until they are accepted. */
  listAnomalies(): Promise<AnomalyRecord[]>;
  /** Accepts a volume's anomalies and returns them. `not-found` when there are none. */
  acceptAnomalies(volume: string): Promise<AnomalyRecord[]>;
  /** What the daemon would see now, for reports. Asks the host, and no repository. */
  look(options?: JobOptions): Promise<PolicyLook>;
  /** Where all data is, and whether it is protected. */
  coverage(options?: JobOptions): Promise<CoverageReport>;
  /** Runs policies until the signal is aborted. `locked` when another daemon runs. */
  runDaemon(request: DaemonRequest): Promise<void>;
}

export function openPolicies(access: PoliciesAccess): Policies {
  const { stateDir, catalog, host, notifier, source, repository, open } = access;
  const load = async (): Promise<LoadedConfiguration> => await source.current();
  const scope = async (): Promise<VolumeScope> => ({ stateDir, host, catalog: await catalog() });
  const memory = async () => (await catalog()).policies;
  const viewAnyway = async (options: JobOptions) => {
    const configuration = await load();
    return await viewPolicies(await scope(), { configuration, repository }, options);
  };
  const view = async (options: JobOptions) => {
    const seen = await viewAnyway(options);
    if (seen.hostFailure !== undefined) throw seen.hostFailure;
    return seen;
  };
  const statuses = async (options: JobOptions): Promise<PolicyStatus[]> => {
    const known = await memory();
    const lastOf = (policy: string): PolicyRunRecord | undefined => known.listRuns({ policy, limit: 1 })[0];
    return policyStatuses(await view(options), lastOf, Date.now());
  };
  return {
    configuration: load,
    upcomingConfiguration: async () => await source.upcoming(),
    async checkConfiguration(wanted) {
      await parseConfiguration(wanted);
    },
    list: async (options = {}) => await statuses(options),
    async show(name, options = {}) {
      return findPolicy(await statuses(options), name);
    },
    async run(request, options = {}) {
      const work = openPolicyWork({ source, repository, open });
      const runNow = async (): Promise<PolicyRunReport> => {
        const seen = await viewAnyway(options);
        const toRun = { memory: await memory(), view: seen, work, open };
        return await runPolicy(toRun, { ...options, ...request });
      };
      if (request.dryRun) return await runNow();
      const telling = await notifier();
      try {
        const report = await runNow();
        telling.tell([happeningOfRun(request.name, undefined)]);
        await source.keep();
        return report;
      } catch (error) {
        const known = knownError(error, `Cannot run the policy ${quote(request.name)}`);
        if (known.code !== 'cancelled') telling.tell([happeningOfRun(request.name, known)]);
        throw error;
      }
    },
    asJson: { run: (report) => ({ ...report, backups: report.backups.map(backupAsJson) }) },
    async nextRuns(options = {}) {
      const runs = nextRuns(await view(options), Date.now());
      return { daemon: await findDaemon(stateDir), runs };
    },
    history: async (filter) => (await memory()).listRuns(filter),
    listAnomalies: async () => (await memory()).listOpenAnomalies(),
    async acceptAnomalies(volume) {
      return acceptAnomalies(await memory(), { volume, nowMs: Date.now() });
    },
    async look(options = {}) {
      const { subjects, tasks, hostFailure } = await viewAnyway(options);
      if (hostFailure !== undefined)
        options.onNote?.(`The volumes cannot be listed: ${errorInWords(hostFailure)}.`);
      return { atMs: Date.now(), isHostSeen: hostFailure === undefined, subjects, tasks };
    },
    async coverage(options = {}) {
      const configuration = await load();
      return await coverage(await scope(), { configuration, repository, open }, options);
    },
    async runDaemon(request) {
      await runAsService(access, request);
    },
  };
}

function backupAsJson({ error, ...backup }: PolicyBackup): object {
  return { ...backup, error: error === undefined ? null : { code: error.code, message: error.message } };
}

export type {
  AnomalyRecord,
  CoverageReport,
  CoveredPlace,
  DaemonRequest,
  DaemonState,
  LoadedConfiguration,
  NextRun,
  PlacedValue,
  PlaceKind,
  PlaceState,
  Policy,
  PolicyBackup,
  PolicyRunRecord,
  PolicyRunReport,
  PolicyStatus,
};

/** Accepts a volume's anomalies, by its name, and returns them. */
function acceptAnomalies(
  memory: PolicyMemory,
  { volume, nowMs }: { readonly volume: string; readonly nowMs: number },
): AnomalyRecord[] {
  const open = memory.listOpenAnomalies();
  const found = open.filter(({ volumeName }) => volumeName === volume);
  if (found.length === 0) {
    const names = [...new Set(open.map(({ volumeName }) => quote(volumeName)))];
    throw new AppError('not-found', `Nothing was noticed about ${quote(volume)}`, {
      hint:
        names.length === 0
          ? 'All volumes look as they should.'
          : `There is something about ${names.join(', ')}.`,
    });
  }
  const at = new Date(nowMs).toISOString();
  for (const identity of new Set(found.map(({ volumeIdentity }) => volumeIdentity)))
    memory.acceptAnomalies(identity, at);
  return found;
}
