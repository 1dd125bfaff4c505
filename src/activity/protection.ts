import type { Catalog } from '../catalog/catalog.ts';
import type { Host } from '../hosts/host.ts';
import type { AuditLog } from './log/audit-log.ts';
import type { Notifier } from './notify/notifier.ts';
import type { Progress, Repository } from '../repository/index.ts';

/**
 * What the work needs to protect data. Each part is opened when it is first asked for, and shared from then
 * on.
 */
export interface Protection {
  readonly stateDir: string;
  readonly catalog: () => Promise<Catalog>;
  readonly host: () => Promise<Host>;
  readonly repository: () => Promise<Repository>;
  /** The log of what was done. */
  readonly log: AuditLog;
  /** Tells people what happened. */
  readonly notifier: () => Promise<Notifier>;
}

/** The options that every job takes. */
export interface JobOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Remarks for people, as they arise. */
  readonly onNote?: ((message: string) => void) | undefined;
}
