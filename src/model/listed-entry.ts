import { type ByteString, toText } from './byte-string.ts';
import type { EntryType } from './entry.ts';

/** A listed file, of a volume or a snapshot. */
export interface ListedEntry {
  readonly name: ByteString;
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** RFC 3339. */
  readonly modifiedAt: string;
  readonly linkTarget?: ByteString | undefined;
}

export function listedEntryAsJson({ name, mode, linkTarget, ...entry }: ListedEntry): object {
  return {
    name: toText(name),
    type: entry.type,
    mode: modeAsJson(mode),
    uid: entry.uid,
    gid: entry.gid,
    size: entry.size,
    modifiedAt: entry.modifiedAt,
    ...(linkTarget === undefined ? {} : { linkTarget: toText(linkTarget) }),
  };
}

/** `0755`. */
export function modeAsJson(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/** RFC 3339 of nanoseconds since 1970; "unknown" where no calendar reaches. */
export function entryTime(ns: bigint): string {
  const date = new Date(Number(ns / 1_000_000n));
  return Number.isNaN(date.getTime()) ? 'unknown' : date.toISOString();
}
