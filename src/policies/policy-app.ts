import type { BackupReport, BackupRequest } from '../backup/index.ts';
import type { Retention } from '../retention/index.ts';
import type { Proof } from '../proof/index.ts';
import type { JobOptions, Notifier } from '../activity/index.ts';
import type { VolumeAccess } from '../leases/index.ts';
import type { SnapshotAccess, Snapshots } from '../snapshots/index.ts';
import type { ConfigurationSource } from './configuration/configuration-source.ts';

/** What policies use of Holdfast, with one repository. */
export interface PolicyApp {
  readonly backup: {
    run(request: BackupRequest, options?: JobOptions): Promise<BackupReport>;
  };
  readonly snapshots: Pick<Snapshots, 'list'>;
  readonly retention: Pick<Retention, 'planForget' | 'applyForget' | 'prune'>;
  readonly proof: Pick<Proof, 'check' | 'verify'> & Partial<Pick<Proof, 'drill'>>;
}

/** Opened for one job, and closed after it. */
export interface OpenedApp extends AsyncDisposable, SnapshotAccess {
  readonly app: PolicyApp;
  readonly stateDir: string;
  readonly notifier: () => Promise<Notifier>;
  /** Settles what killed work has left on the host. Call it before any work there. */
  recoverAtStart(): Promise<void>;
}

/** Opens an App with a repository, by name or location; '' is the default one. Connects to nothing yet. */
export type OpenPolicyApp = (repository: string) => OpenedApp;

/** What policies work with. */
export interface PoliciesAccess extends VolumeAccess {
  readonly notifier: () => Promise<Notifier>;
  readonly source: ConfigurationSource;
  /** The repository that the command line or the environment names. */
  readonly repository: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly open: OpenPolicyApp;
}
