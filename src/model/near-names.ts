import { quote } from './quote.ts';

/** Names that `wanted` may be a typo of, nearest first, at most three. */
export function nearNames(wanted: string, names: readonly string[]): string[] {
  const limit = Math.max(1, Math.floor(wanted.length / 3));
  return names
    .map((name) => ({ name, distance: distanceOf(wanted, name, limit) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name);
}

/** A hint for the user; undefined without any names. */
export function didYouMean(near: readonly string[]): string | undefined {
  return near.length === 0 ? undefined : `Did you mean ${near.map(quote).join(' or ')}?`;
}

function distanceOf(wanted: string, name: string, limit: number): number {
  if (isPart(wanted, name)) return 1;
  return Math.min(isOfOtherStack(wanted, name) ? 2 : Infinity, editDistance(wanted, name, limit));
}

/** "data" for "shop_data": Compose puts the project before the names that users know. */
function isPart(wanted: string, name: string): boolean {
  return wanted.length >= 3 && name.includes(wanted);
}

/** "shop_data" for "data" or "blog_data". */
function isOfOtherStack(wanted: string, name: string): boolean {
  return wanted.includes('_') && wanted.slice(wanted.indexOf('_') + 1) === name.slice(name.indexOf('_') + 1);
}

/** The edit distance of two words, with swaps of neighbours; anything above `limit` is `limit + 1`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1;
      let best = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + cost,
      );
      if (a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        best = Math.min(best, (beforeLast[column - 2] ?? best) + 1);
      }
      current.push(best);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length] ?? 0;
}
