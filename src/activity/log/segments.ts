import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../../lib/durable-file.ts';
import { namesIn } from '../../lib/folder-names.ts';

/** One file of the log. When it is large enough, the next one is begun. */
export interface Segment {
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
}

const pattern = /^log-\d{12}\.jsonl$/;

/** Oldest first; empty when there is no log. */
export async function listSegments(folder: string): Promise<Segment[]> {
  const names = await namesIn(folder);
  const segments: Segment[] = [];
  for (const name of names.filter((one) => pattern.test(one)).sort()) {
    const file = path.join(folder, name);
    segments.push({ name, path: file, sizeBytes: (await stat(file)).size });
  }
  return segments;
}

/** A segment is named after its first entry, and never takes the name of an existing one. */
export function nextSegmentName(last: Segment | undefined, lastSequence: number): string {
  const taken = last === undefined ? 0 : Number(last.name.slice(4, 16));
  return `log-${String(Math.max(lastSequence, taken) + 1).padStart(12, '0')}.jsonl`;
}

export interface Append {
  readonly folder: string;
  readonly name: string;
  /** The file is cut off here first: beyond it is an unfinished line. */
  readonly atBytes: number;
  readonly text: string;
}

/** Appends whole lines to a segment, durably, or leaves it as it was. */
export async function appendLines({ folder, name, atBytes, text }: Append): Promise<void> {
  const isNew = atBytes === 0;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW;
  await using file = await open(path.join(folder, name), flags, 0o600);
  await file.truncate(atBytes);
  try {
    await writeAll(file, Buffer.from(text), atBytes);
    await file.sync();
  } catch (error) {
    // Works on a full disk too; if it fails, the next append cuts the rest off.
    await file.truncate(atBytes).catch(() => {});
    throw error;
  }
  if (isNew) await syncDirectory(folder);
}

async function writeAll(file: FileHandle, bytes: Buffer, start: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, start + done);
    done += bytesWritten;
  }
}

export interface SegmentLine {
  readonly text: string;
  readonly number: number;
  /** False for text after the last line end. */
  readonly isWhole: boolean;
}

const longestLine = 256 * 1024;

/** The lines of a segment up to `sizeBytes`. A line that is longer than any entry comes in pieces. */
export async function* readLines(segment: Segment): AsyncGenerator<SegmentLine, void, undefined> {
  if (segment.sizeBytes === 0) return;
  await using file = await open(segment.path, 'r');
  const chunks = file.createReadStream({ end: segment.sizeBytes - 1, autoClose: false });
  let rest: Buffer = Buffer.alloc(0);
  let number = 0;
  for await (const chunk of chunks as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = rest.indexOf(10); end >= 0 || rest.length > longestLine; end = rest.indexOf(10)) {
      const cut = end >= 0 && end <= longestLine ? end : longestLine;
      yield { text: rest.toString('utf8', 0, cut), number: ++number, isWhole: true };
      rest = rest.subarray(end >= 0 && end <= longestLine ? cut + 1 : cut);
    }
  }
  if (rest.length > 0) yield { text: rest.toString('utf8'), number: ++number, isWhole: false };
}
