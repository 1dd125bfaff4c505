import type { RepositoryRecord } from '../../catalog/catalog.ts';
import type { ComposeProject, ComposeRequest } from '../../compose/index.ts';
import type { Host } from '../../hosts/host.ts';
import type { CoverageReport } from '../../policies/index.ts';

export interface AuditRequest {
  /** A stack’s name, a Compose file, or a folder with one; undefined: the whole host. */
  readonly target: string | undefined;
  /** Where relative paths begin. */
  readonly directory: string;
  /** Rules without a consequence for data too. */
  readonly allRules?: boolean | undefined;
  /** Files of suppressions besides those in the folders of projects. */
  readonly suppressionFiles?: readonly string[] | undefined;
  /** What it holds does not count; written when it is not there yet. */
  readonly baseline?: string | undefined;
  /** Writes the baseline anew. */
  readonly updatesBaseline?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What an audit asks. */
export interface AuditSources {
  readonly host: () => Promise<Host>;
  readonly loadProject: (request: ComposeRequest) => Promise<ComposeProject>;
  readonly coverage: (options: { readonly signal?: AbortSignal | undefined }) => Promise<CoverageReport>;
  readonly repositories: () => Promise<readonly RepositoryRecord[]>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
}
