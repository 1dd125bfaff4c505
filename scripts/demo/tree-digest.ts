import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { listXattrs } from '../../src/lib/posix.ts';

/** Everything about a tree that a restore must restore. */
export interface TreeFacts {
  /** One line for each path, by the path's bytes as latin1; the root is ''. */
  readonly entries: ReadonlyMap<string, string>;
  /** The digest of all lines in order: equal trees have equal digests. */
  readonly digest: string;
  readonly files: number;
  readonly bytes: number;
  /** Files with more than one name, files with holes, entries with extended attributes. */
  readonly hardLinked: number;
  readonly sparse: number;
  readonly withXattrs: number;
}

/**
 * Reads a tree: for every path its type, bytes (as a SHA-256), mode, owner, time to the nanosecond, link target, the
 * other names of the same file, extended attributes, and whether it has holes.
 */
export function readTreeFacts(root: string): TreeFacts {
  const entries = new Map<string, string>();
  const firstNames = new Map<bigint, string>();
  const counts = { files: 0, bytes: 0, hardLinked: 0, sparse: 0, withXattrs: 0 };

  const visit = (path: string): void => {
    const full = Buffer.from(path === '' ? root : `${root}/${path}`, path === '' ? 'utf8' : 'latin1');
    const stats = lstatSync(full, { bigint: true });
    const xattrs = listXattrs(full.toString('latin1')).map(
      ({ name, value }) => `${name}=${Buffer.from(value).toString('hex')}`,
    );
    const isSparse = stats.isFile() && stats.blocks * 512n < stats.size;
    if (stats.isFile()) {
      counts.files += 1;
      counts.bytes += Number(stats.size);
      if (stats.nlink > 1n) counts.hardLinked += 1;
      if (isSparse) counts.sparse += 1;
    }
    if (xattrs.length > 0) counts.withXattrs += 1;
    const sameAs = stats.isFile() && stats.nlink > 1n ? (firstNames.get(stats.ino) ?? path) : '';
    firstNames.set(stats.ino, firstNames.get(stats.ino) ?? path);
    entries.set(
      path,
      [
        describeContent(full, stats),
        (stats.mode & 0o7777n).toString(8),
        `${stats.uid}:${stats.gid}`,
        stats.mtimeNs,
        sameAs,
        isSparse ? 'sparse' : '',
        xattrs.sort().join(),
      ].join('|'),
    );
    if (!stats.isDirectory()) return;
    const names = readdirSync(full, { encoding: 'buffer' }).map((name) => name.toString('latin1'));
    for (const name of names.sort()) visit(path === '' ? name : `${path}/${name}`);
  };
  visit('');

  const hash = createHash('sha256');
  for (const [path, facts] of entries) hash.update(`${path}\0${facts}\0`, 'latin1');
  return { entries, digest: hash.digest('hex'), ...counts };
}

/** Lists the differences of two trees, one line per path; empty when they are equal. */
export function compareTrees(before: TreeFacts, after: TreeFacts): string[] {
  const paths = new Set([...before.entries.keys(), ...after.entries.keys()]);
  return [...paths].flatMap((path) => {
    const [was, is] = [before.entries.get(path), after.entries.get(path)];
    return was === is ? [] : [`"${path}" was ${was ?? 'not there'} and is ${is ?? 'not there'}`];
  });
}

function describeContent(path: Buffer, stats: BigIntStats): string {
  if (stats.isFile()) return `file ${createHash('sha256').update(readFileSync(path)).digest('hex')}`;
  if (stats.isSymbolicLink()) return `link ${readlinkSync(path, { encoding: 'latin1' })}`;
  if (stats.isDirectory()) return 'folder';
  return `special ${stats.mode} ${stats.rdev}`;
}
