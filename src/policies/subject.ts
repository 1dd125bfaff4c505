import type { VolumeSettings } from '../backup/settings/volume-settings.ts';

/** A volume or a directory that policies can be about, with what was said of it. */
export interface Subject {
  readonly kind: 'volume' | 'path';
  /** The volume's name, or an absolute path. */
  readonly name: string;
  readonly identity: string;
  readonly stack: string | undefined;
  /** Names of the containers that mount it, running or not. */
  readonly containers: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** What its labels and `x-holdfast` say; stronger than any policy. */
  readonly settings: VolumeSettings;
  /** The policies that they name; undefined leaves it to the policies. */
  readonly policies: readonly string[] | undefined;
  /** Why it is not to be backed up. */
  readonly skipped: string | undefined;
  /** It is left out though it may hold what cannot be lost. */
  readonly mayHoldData?: true | undefined;
}
