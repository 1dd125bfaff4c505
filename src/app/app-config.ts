import type { ConfigurationPlace } from '../policies/index.ts';
import type { HostKind } from '../model/volume.ts';

/** What the command line, the environment and the configuration file decided. */
export interface AppConfig {
  readonly stateDir: string;
  /** The configuration file that was named; undefined looks where it usually is. */
  readonly configFile?: string | undefined;
  /** Undefined takes what the configuration file says, else `auto`. */
  readonly host: 'auto' | HostKind | undefined;
  /** `stream` goes through the engine even where the data could be reached directly. */
  readonly dataWay: 'auto' | 'stream';
  /** A repository's name or location; undefined takes the default one. */
  readonly repository: string | undefined;
  /** `file:/path`, `env:NAME`, `exec:command`; undefined takes what the catalog knows. */
  readonly passwordReference: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** It is open for as long as somebody lets it, and must keep nobody waiting. */
  readonly stays?: boolean | undefined;
  /** It does without a state folder that can be written to: what is lost by that is not what it is for. */
  readonly onlyReads?: boolean | undefined;
  /** What the host warns about while it answers. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Where killed work may have left something: on the host, or in the volumes that Holdfast keeps itself. */
export type RecoveryPlace = 'host' | 'own';

export function placeOf({ stateDir, configFile }: AppConfig): ConfigurationPlace {
  return { stateDir, configFile };
}
