import { AppError } from './errors.ts';
import { quote } from './quote.ts';

/** Maps `count` ids from `from` on to those from `to` on. */
export interface IdRange {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** Maps owners. Ids in no range stay the same. */
export interface OwnerMap {
  readonly users: readonly IdRange[];
  readonly groups: readonly IdRange[];
}

/** The kernel uses the last id for "none". */
const idsAtMost = 0xffff_ffff;

/**
 * Parses `FROM:TO` and `FROM:TO:COUNT`, for users and groups, or with a leading `u:` or `g:` for one of them.
 * `0:100000:65536` is what a user namespace does to a container's ids.
 */
export function parseOwnerMap(texts: readonly string[]): OwnerMap {
  const users: IdRange[] = [];
  const groups: IdRange[] = [];
  for (const text of texts) {
    const match = /^(?:([ug]):)?(\d{1,10}):(\d{1,10})(?::(\d{1,10}))?$/.exec(text);
    if (match === null) throw unreadable(text);
    const [, only, from, to, count = '1'] = match;
    const range = { from: Number(from), to: Number(to), count: Number(count) };
    if (range.count === 0 || Math.max(range.from, range.to) + range.count > idsAtMost) throw unreadable(text);
    if (only !== 'g') add(users, { range, text });
    if (only !== 'u') add(groups, { range, text });
  }
  return { users, groups };
}

export function mapId(ranges: readonly IdRange[], id: number): number {
  const range = ranges.find(({ from, count }) => id >= from && id < from + count);
  return range === undefined ? id : id - range.from + range.to;
}

function add(ranges: IdRange[], { range, text }: { readonly range: IdRange; readonly text: string }): void {
  const { from, count } = range;
  if (ranges.some((other) => from < other.from + other.count && other.from < from + count))
    throw new AppError('usage', `The owners of ${quote(text)} are mapped already`, {
      hint: 'Give each owner one place to go to.',
    });
  ranges.push(range);
}

function unreadable(text: string): AppError {
  return new AppError('usage', `Cannot read the mapping of owners ${quote(text)}`, {
    hint: 'Write FROM:TO for one owner, such as "999:100999", or FROM:TO:COUNT for many, such as "0:100000:65536"; "u:" or "g:" in front means users or groups only.',
  });
}
