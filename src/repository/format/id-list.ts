/**
 * Ids of blobs as the JSON of a node has them: `"…","…"`. A database of 2 GB has 65,000 of them, and one string of all
 * takes half the memory of as many strings.
 */
export type IdList = string;

/** With the quotes and the comma after it. */
const charsPerId = 64 + 3;

export function idListOf(ids: readonly string[]): IdList {
  return ids.map((id) => `"${id}"`).join(',');
}

export function countIds(list: IdList): number {
  return list === '' ? 0 : (list.length + 1) / charsPerId;
}

/** As `slice` does with arrays, for numbers that are not negative. */
export function sliceIds(list: IdList, from: number, to: number): IdList {
  return from >= to ? '' : list.slice(from * charsPerId, to * charsPerId - 1);
}

export function joinIds(lists: readonly IdList[]): IdList {
  return lists.filter((list) => list !== '').join(',');
}
