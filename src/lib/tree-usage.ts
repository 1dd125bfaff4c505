import type { ByteString } from '../model/byte-string.ts';

/** Something in a tree, another name of the same file left out. */
export interface CountedEntry {
  readonly kind: 'file' | 'dir' | 'other';
  /** The length of a file; 0 for what is none. */
  readonly bytes: number;
  /** The length of what a symbolic link says. */
  readonly targetBytes?: number | undefined;
  readonly allocatedBytes: number;
}

/** What a tree holds. */
export class TreeUsage {
  bytes = 0;
  /** Of symbolic links, which have no part in `bytes`. */
  targetBytes = 0;
  allocatedBytes = 0;
  files = 0;
  directories = 0;
  others = 0;
  /** What lies at the top, with all that is below it. */
  readonly top = new Map<ByteString, { bytes: number; files: number }>();

  /** `first` is the first name of its path; '' for the root itself. */
  add({ kind, bytes, targetBytes = 0, allocatedBytes }: CountedEntry, first: ByteString): void {
    this.bytes += bytes;
    this.targetBytes += targetBytes;
    this.allocatedBytes += allocatedBytes;
    if (kind === 'dir') this.directories++;
    else if (kind === 'file') this.files++;
    else this.others++;
    if (first === '') return;
    const sum = this.top.get(first) ?? { bytes: 0, files: 0 };
    sum.bytes += bytes;
    if (kind === 'file') sum.files++;
    this.top.set(first, sum);
  }
}
