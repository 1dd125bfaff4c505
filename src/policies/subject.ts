import type { VolumeSettings } from '../backup/index.ts';
import { isWithin } from '../model/clean-path.ts';
import type { RealPlace } from '../volumes/index.ts';

/** A volume or a directory that policies can apply to, with its settings. */
export interface Subject {
  readonly kind: 'volume' | 'path';
  /** The volume's name, or an absolute path. */
  readonly name: string;
  /** A volume that was made without a name. */
  readonly isAnonymous?: boolean | undefined;
  /** RFC 3339, where its engine knows. */
  readonly createdAt?: string | undefined;
  readonly identity: string;
  readonly stack: string | undefined;
  /** Names of the containers that mount it, running or not. */
  readonly containers: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Settings of labels and `x-holdfast`, which override those of policies. */
  readonly settings: VolumeSettings;
  /** The policies that labels and `x-holdfast` name; undefined leaves the choice to the policies. */
  readonly policies: readonly string[] | undefined;
  /** Why it is not backed up. */
  readonly skipped: string | undefined;
  /** It is left out although it may hold data that must not be lost. */
  readonly mayHoldData?: true | undefined;
  /** The real place of a path; undefined when unknown. */
  readonly at?: RealPlace | undefined;
}

/**
 * Whether snapshots of the outer path contain the inner one: they do not follow links or cross file systems.
 * Never true both ways: two names of one directory are both saved. Pure.
 */
export function isSavedWith(inner: Subject, outer: Subject): boolean {
  if (inner.kind !== 'path' || outer.kind !== 'path') return false;
  const isOneDevice = inner.at === undefined || outer.at === undefined || inner.at.device === outer.at.device;
  const [path, folder] = [inner.at?.path ?? inner.name, outer.at?.path ?? outer.name];
  return isOneDevice && path !== folder && isWithin(path, folder);
}
