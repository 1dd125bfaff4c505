import type { ByteString } from '../../model/byte-string.ts';
import type { DataRun, ExtendedAttribute } from '../../model/entry.ts';
import type { SaveProblem } from '../../model/snapshot.ts';
import type { MasterKey } from '../crypto/seal.ts';
import type { StoreAddress } from '../stores/open-store.ts';

export interface RestoreWorkerData {
  readonly store: StoreAddress;
  readonly masterKey: MasterKey;
}

/** What a restored entry has besides its bytes. */
export interface Metadata {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly xattrs: readonly ExtendedAttribute[];
}

export interface BlobTarget {
  /** Below the root. */
  readonly path: ByteString;
  readonly fileOffset: number;
  /** Present when the blob is the whole file: the worker then creates the file with its metadata. */
  readonly whole?: Metadata;
  /** The parts of the blob to write, relative to it, for a sparse file. */
  readonly runs?: readonly DataRun[];
  /** Size of the file, for a sparse file made from one blob. */
  readonly fileSize: number;
}

export interface BlobWork {
  readonly id: string;
  readonly offset: number;
  readonly length: number;
  readonly uncompressedLength: number;
  readonly targets: BlobTarget[];
}

/** Everything wanted from one pack. */
export interface PackWork {
  readonly packId: string;
  readonly blobs: readonly BlobWork[];
}

export interface RestoreTask extends PackWork {
  /** The open directory that everything is created below. */
  readonly rootFd: number;
}

export interface RestoreTaskResult {
  readonly bytes: number;
  readonly files: number;
  readonly problems: readonly SaveProblem[];
}
