import type { Finding } from '../../model/finding.ts';
import type { Identified } from './access.ts';

/** The very file or folder that was looked at, whatever has its name by now. */
export interface Identity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** What mends a finding, for `--fix`; carried out by `apply-fix.ts`. */
export type Fix =
  | {
      readonly kind: 'owner';
      /** Absolute, of this machine. */
      readonly path: string;
      readonly identity: Identity;
      /** Only what belongs to this user is given away, the path itself and below it. */
      readonly from: number;
      readonly uid: number;
      readonly gid: number;
    }
  | {
      readonly kind: 'mode';
      readonly path: string;
      readonly identity: Identity;
      /** Bits that are added to the mode of this one file or folder. */
      readonly add: number;
    }
  | {
      readonly kind: 'acl';
      readonly path: string;
      readonly identity: Identity;
      /** Gets these rights by the ACL, there and below; the right to enter folders and to run programs always. */
      readonly who: Identified;
      readonly rights: number;
      /** Gets of these only what an ACL gives already, and its mask takes back. */
      readonly isMask: boolean;
    }
  | { readonly kind: 'folder'; readonly path: string; readonly uid: number; readonly gid: number }
  | { readonly kind: 'program'; readonly command: readonly string[] };

export interface DoctorFinding extends Finding {
  /** Undefined where only a person can decide. The command that carries it out comes before the finding's own. */
  readonly fix: Fix | undefined;
  /** Nothing is wrong as far as it can be seen from here: it is told, and leaves the report healthy. */
  readonly isHint?: boolean | undefined;
}

/** Something that could not be looked at. */
export interface Remark {
  readonly subject: string;
  /** Why, in half a sentence. */
  readonly reason: string;
}

export interface Diagnosis {
  readonly findings: readonly DoctorFinding[];
  readonly notLookedAt: readonly Remark[];
}
