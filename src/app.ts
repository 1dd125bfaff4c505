import type { Catalog } from './catalog/catalog.ts';
import type { Host } from './hosts/host.ts';
import type { HostKind } from './model/volume.ts';
import type { Repository } from './repository/index.ts';

/** What the command line, the environment and the configuration file decided. */
export interface AppConfig {
  readonly stateDir: string;
  readonly host: 'auto' | HostKind;
  /** A repository's name or location; undefined takes the default one. */
  readonly repository: string | undefined;
  /** `file:/path`, `env:NAME`, `exec:command`; undefined takes what the catalog knows. */
  readonly passwordReference: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Everything wired together. Parts are opened when first asked for, so that a command pays for what it uses only. */
export interface AppParts {
  catalog(): Catalog;
  host(): Promise<Host>;
  repository(): Promise<Repository>;
}
