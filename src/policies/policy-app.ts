import type { BackupReport, BackupRequest } from '../backup/index.ts';
import type { ForgetPlan, ForgetReport, ForgetRequest } from '../retention/index.ts';
import type { DrillReport, DrillRequest, VerifyReport, VerifyRequest } from '../proof/index.ts';
import type { JobOptions, Protection } from '../activity/index.ts';
import type { ListedSnapshot, SnapshotFilter } from '../snapshots/index.ts';
import type { ConfigurationSource } from './configuration/configuration-source.ts';
import type { CheckReport, PruneLimits, PruneSummary } from '../repository/index.ts';

/** What policies ask of Holdfast, with one repository. */
export interface PolicyApp {
  backup(request: BackupRequest, options?: JobOptions): Promise<BackupReport>;
  listSnapshots(filter: SnapshotFilter, options?: JobOptions): Promise<ListedSnapshot[]>;
  planForget(request: ForgetRequest, options?: JobOptions): Promise<ForgetPlan>;
  applyForget(plan: ForgetPlan, options?: JobOptions): Promise<ForgetReport>;
  prune(limits: PruneLimits, options?: JobOptions): Promise<PruneSummary>;
  check(request: { readonly readDataPercent: number }, options?: JobOptions): Promise<CheckReport>;
  verify(request: VerifyRequest, options?: JobOptions): Promise<VerifyReport>;
  drill?(request: DrillRequest, options?: JobOptions): Promise<DrillReport>;
}

/** Opened for one job, and closed after it. */
export interface OpenedApp extends AsyncDisposable {
  readonly app: PolicyApp;
  readonly parts: Protection;
}

/** Opens everything anew with a repository, by name or location; '' is the default one. Connects to nothing yet. */
export type OpenPolicyApp = (repository: string) => OpenedApp;

/** What policies work with. */
export interface PoliciesParts {
  readonly protection: Protection;
  readonly source: ConfigurationSource;
  /** What the command line or the environment name as repository. */
  readonly repository: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly open: OpenPolicyApp;
}
