import type { ConfigurationPlace } from '../policies/index.ts';
import type { HostKind } from '../model/volume.ts';

/** Settings from the command line, the environment and the configuration file. */
export interface AppConfig {
  readonly stateDir: string;
  /** The configuration file that the user named; undefined looks in the usual places. */
  readonly configFile?: string | undefined;
  /** Undefined takes the configuration file's value, else `auto`. */
  readonly host: 'auto' | HostKind | undefined;
  /** `stream` goes through the engine even where the data could be reached directly. */
  readonly dataWay: 'auto' | 'stream';
  /** A repository's name or location; undefined takes the default one. */
  readonly repository: string | undefined;
  /** `file:/path`, `env:NAME`, `exec:command`; undefined takes the catalog's. */
  readonly passwordReference: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The App may stay open for long: it must not keep other processes from the catalog. */
  readonly stays?: boolean | undefined;
  /** The command only reads: it also works without a state folder that can be written to. */
  readonly onlyReads?: boolean | undefined;
  /** Warnings of the host as it answers. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Where killed work may have left something: on the host, or in managed volumes. */
export type RecoveryPlace = 'host' | 'own';

export function placeOf({ stateDir, configFile }: AppConfig): ConfigurationPlace {
  return { stateDir, configFile };
}
