import { fromText, type ByteString } from './byte-string.ts';
import { cleanPath } from './clean-path.ts';
import { AppError } from './errors.ts';
import { isTime, parseTime } from './parse-time.ts';
import { quote } from './quote.ts';

/** The target of a command: a volume by name, or a directory of this machine. */
export type Target =
  | { readonly kind: 'volume'; readonly name: string }
  /** As given, not made absolute. */
  | { readonly kind: 'path'; readonly path: string };

/** A snapshot: the newest, one by its id or a unique prefix, or the newest that is not after `time`. */
export type SnapshotReference =
  | { readonly kind: 'latest' }
  | { readonly kind: 'id'; readonly prefix: string }
  | { readonly kind: 'time'; readonly time: Date; readonly text: string };

export interface VersionedTarget {
  readonly target: Target;
  /** `latest` by default. */
  readonly snapshot: SnapshotReference;
}

/** One side of `cp`: a path inside a volume, a path of this machine, or a tar stream (`-`). */
export type CopyTarget =
  | { readonly kind: 'volume'; readonly name: string; readonly path: ByteString }
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'stream' };

/**
 * A directory starts with `/` or `.`, anything else is a volume. `VOLUME@…` is refused: no version is
 * expected here.
 */
export function parseTarget(text: string): Target {
  if (isPath(text)) return { kind: 'path', path: withoutNul(text) };
  if (text === '') throw new AppError('usage', 'The name of the volume is empty');
  const { name, version } = splitVersion(text);
  if (version !== undefined) {
    throw new AppError('usage', `${quote(text)} names a snapshot, but a volume is asked for`, {
      hint: `Write ${quote(name)}.`,
    });
  }
  return { kind: 'volume', name: withoutNul(text) };
}

/**
 * `VOLUME[@SNAPSHOT|@TIME]`, and the same for a directory that was backed up. A directory's name may contain
 * `@`, so there it counts only before a snapshot or time.
 */
export function parseVersionedTarget(text: string, now: Date): VersionedTarget {
  const { name, version } = splitVersion(text);
  if (version === undefined) return { target: parseTarget(text), snapshot: { kind: 'latest' } };
  if (isPath(text) && !isReference(version))
    return { target: parseTarget(text), snapshot: { kind: 'latest' } };
  return { target: parseTarget(name), snapshot: parseVersion(version, now) };
}

/** One argument of `cp`: `VOLUME:PATH`, a path, or `-`. A path with a colon is written with a leading `./`. */
export function parseCopyTarget(text: string): CopyTarget {
  if (text === '-') return { kind: 'stream' };
  if (text === '') throw new AppError('usage', 'The path to copy is empty');
  const colon = text.indexOf(':');
  if (isPath(text) || colon === -1) return { kind: 'path', path: withoutNul(text) };
  const name = text.slice(0, colon);
  if (name === '') throw new AppError('usage', `The volume’s name is missing in ${quote(text)}`);
  return { kind: 'volume', name: withoutNul(name), path: parseVolumePath(text.slice(colon + 1)) };
}

/**
 * The place for `cat` and `browse`: `VOLUME PATH`, or `VOLUME:PATH` as in `cp`. Volume names have no colon.
 */
export function parsePlaceInVolume(
  volume: string,
  path: string | undefined,
): { readonly volume: string; readonly path: ByteString } {
  const colon = path === undefined ? volume.indexOf(':') : -1;
  if (colon <= 0) return { volume, path: parseVolumePath(path ?? '') };
  return { volume: volume.slice(0, colon), path: parseVolumePath(volume.slice(colon + 1)) };
}

/** A path inside a volume, relative to the volume's root, without `.` and `..`; '' is the root itself. */
export function parseVolumePath(text: string): ByteString {
  const cleaned = cleanPath(withoutNul(text).replace(/^\/+/, ''));
  if (cleaned === '..' || cleaned.startsWith('../')) {
    throw new AppError('usage', `Path ${quote(text)} leaves the volume`);
  }
  return cleaned === '.' ? '' : fromText(cleaned);
}

function isPath(text: string): boolean {
  return text.startsWith('/') || text.startsWith('.');
}

function withoutNul(text: string): string {
  if (text.includes('\0')) throw new AppError('usage', `${quote(text)} has a NUL byte in it`);
  return text;
}

function splitVersion(text: string): { name: string; version: string | undefined } {
  const at = text.lastIndexOf('@');
  // The name of a time zone has a "/", which no volume's name has.
  if (at === -1 || (isPath(text) && text.includes('/', at))) return { name: text, version: undefined };
  return { name: text.slice(0, at), version: text.slice(at + 1) };
}

function parseVersion(version: string, now: Date): SnapshotReference {
  if (version === 'latest') return { kind: 'latest' };
  // "3d" is three days ago and also a prefix of an id; so short a prefix is not taken for a snapshot.
  if (isId(version) && !/^\d{1,4}d$/.test(version)) return { kind: 'id', prefix: version.toLowerCase() };
  if (isTime(version)) return { kind: 'time', time: parseTime(version, now), text: version };
  throw new AppError('usage', `${quote(version)} is neither a snapshot nor a time`, {
    hint: 'Write "@latest", "@" and the start of a snapshot’s id, or a time like "@yesterday", "@3h" or "@2026-01-31T12:00".',
  });
}

function isReference(version: string): boolean {
  return version === 'latest' || isId(version) || isTime(version);
}

function isId(text: string): boolean {
  return /^[0-9a-f]{1,64}$/i.test(text);
}
