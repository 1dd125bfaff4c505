import type { ByteString } from '../../model/byte-string.ts';
import type { Metadata } from './restore-task.ts';

const blockBytes = 64 * 1024;

/**
 * The directories of a restore, which get their metadata when everything in them is done. Kept as text
 * outside the heap, each path without the prefix that it shares with the previous one: there may be hundreds
 * of thousands, which as objects would take ten times the memory and keep the garbage between them from being
 * freed.
 */
export class MadeDirectories {
  readonly #blocks: Buffer[] = [];
  #used = 0;
  #count = 0;
  #before = '';

  get count(): number {
    return this.#count;
  }

  /** Without metadata for a directory that keeps what it has. */
  add(path: ByteString, metadata: Metadata | undefined): void {
    this.#count++;
    if (metadata === undefined) return;
    let line = encode(path, this.#before, metadata);
    if (this.#used + line.length > (this.#blocks.at(-1)?.length ?? 0)) {
      // Each block can be decoded by itself.
      line = encode(path, '', metadata);
      this.#blocks.push(Buffer.alloc(Math.max(blockBytes, line.length)));
      this.#used = 0;
    }
    this.#used += this.#blocks.at(-1)?.write(line, this.#used, 'latin1') ?? 0;
    this.#before = path;
  }

  /** The directories that get metadata; children come before their parents. */
  *deepestFirst(): Generator<MadeDirectory> {
    for (const block of this.#blocks.toReversed()) {
      const lines = block.toString('latin1').split('\n').slice(0, -1);
      let before = '';
      const directories = lines.map((line) => {
        const directory = decode(line, before);
        before = directory.path;
        return directory;
      });
      yield* directories.toReversed();
    }
  }
}

export interface MadeDirectory {
  readonly path: ByteString;
  readonly metadata: Metadata;
}

type Fields = readonly [
  ...[same: number, rest: string, mode: number, uid: number, gid: number, mtimeNs: string],
  ...xattrs: (readonly [name: string, value: string])[],
];

/** A line of JSON with bytes as characters, without line breaks. */
function encode(path: ByteString, before: ByteString, { mode, uid, gid, mtimeNs, xattrs }: Metadata): string {
  let same = 0;
  while (same < before.length && before[same] === path[same]) same++;
  const fields: Fields = [
    ...([same, path.slice(same), mode, uid, gid, String(mtimeNs)] as const),
    ...xattrs.map(({ name, value }) => [name, Buffer.from(value).toString('latin1')] as const),
  ];
  return `${JSON.stringify(fields)}\n`;
}

function decode(line: string, before: ByteString): MadeDirectory {
  const [same, rest, mode, uid, gid, mtimeNs, ...pairs] = JSON.parse(line) as Fields;
  const xattrs = pairs.map(([name, value]) => ({ name, value: Buffer.from(value, 'latin1') }));
  const metadata = { mode, uid, gid, mtimeNs: BigInt(mtimeNs), xattrs };
  return { path: before.slice(0, same) + rest, metadata };
}
