import type { VolumeSettings } from '../backup/index.ts';
import { isWithin } from '../model/clean-path.ts';
import type { RealPlace } from '../volumes/index.ts';

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
  /** Where a path is in truth; undefined where that is not known. */
  readonly at?: RealPlace | undefined;
}

/**
 * Whether snapshots of a path have another one that is in it: what a link or another file system leads to is not in them.
 * Never both ways: two names of one directory are saved both. Pure.
 */
export function isSavedWith(inner: Subject, outer: Subject): boolean {
  if (inner.kind !== 'path' || outer.kind !== 'path') return false;
  const isOneDevice = inner.at === undefined || outer.at === undefined || inner.at.device === outer.at.device;
  const [path, folder] = [inner.at?.path ?? inner.name, outer.at?.path ?? outer.name];
  return isOneDevice && path !== folder && isWithin(path, folder);
}
