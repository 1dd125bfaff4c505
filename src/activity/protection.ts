import type { Catalog } from '../catalog/catalog.ts';
import type { Host } from '../hosts/host.ts';
import type { AuditLog } from './log/audit-log.ts';
import type { Notifier } from './notify/notifier.ts';
import type { InitOptions, Progress, Repository, RepositoryAccess } from '../repository/index.ts';

/**
 * What the work needs to protect data. Each part is opened when it is first asked for, and shared from then
 * on.
 */
export interface Protection {
  readonly stateDir: string;
  catalog(): Promise<Catalog>;
  host(): Promise<Host>;
  repository(): Promise<Repository>;
  /** The log of what was done. */
  readonly log: AuditLog;
  /** Tells people what happened. */
  notifier(): Promise<Notifier>;
}

/** Makes and opens repositories; their format is not known here. */
export interface RepositoryMaker {
  init(access: RepositoryAccess, options?: InitOptions): Promise<Repository>;
  open(access: RepositoryAccess): Promise<Repository>;
  /** True where there is one. */
  has(access: Omit<RepositoryAccess, 'password'>): Promise<boolean>;
}

/** The options that every job takes. */
export interface JobOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Remarks for people, as they arise. */
  readonly onNote?: ((message: string) => void) | undefined;
}
