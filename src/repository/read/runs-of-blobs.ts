/** Blobs that lie closer than this are read together with what is between them. */
const gapBytes = 64 * 1024;
const readBytes = 4 * 1024 * 1024;

/** Blobs of one pack in the order in which they lie, in runs that are worth one request each. */
export function runsOfBlobs<Blob extends { readonly offset: number; readonly length: number }>(
  blobs: readonly Blob[],
): Blob[][] {
  const runs: Blob[][] = [];
  let start = 0;
  let end = -1;
  for (const blob of blobs.toSorted((a, b) => a.offset - b.offset)) {
    const stop = blob.offset + blob.length;
    const current = runs.at(-1);
    if (current && blob.offset >= end && blob.offset - end <= gapBytes && stop - start <= readBytes) {
      current.push(blob);
    } else {
      runs.push([blob]);
      start = blob.offset;
    }
    end = stop;
  }
  return runs;
}
