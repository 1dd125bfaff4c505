import type { ByteString } from '../model/byte-string.ts';

/** Something in a tree, another name of the same file left out. */
export interface CountedEntry {
  readonly kind: 'file' | 'dir' | 'other';
  /** The length of a file; 0 for what is none. */
  readonly bytes: number;
  readonly allocatedBytes: number;
}

/** What a tree holds. */
export class TreeUsage {
  bytes = 0;
  allocatedBytes = 0;
  files = 0;
  directories = 0;
  others = 0;
  /** What lies at the top, with all that is below it. */
  readonly top = new Map<ByteString, { bytes: number; files: number }>();

  /** `first` is the first name of its path; '' for the root itself. */
  add({ kind, bytes, allocatedBytes }: CountedEntry, first: ByteString): void {
    this.bytes += bytes;
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
