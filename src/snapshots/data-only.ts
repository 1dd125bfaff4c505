import type { Entry } from '../model/entry.ts';

/** Filters a sparse file's bytes down to its data runs, as a tar archive holds them. */
export async function* dataOnly(
  content: AsyncIterable<Uint8Array>,
  entry: Entry,
): AsyncGenerator<Uint8Array, void, undefined> {
  const runs = entry.dataRuns;
  if (runs === undefined) return yield* content;
  let next = 0;
  let position = 0;
  for await (const chunk of content) {
    const end = position + chunk.length;
    for (let run = runs[next]; run !== undefined && run.offset < end; run = runs[next]) {
      const from = Math.max(run.offset, position);
      const to = Math.min(run.offset + run.length, end);
      if (to > from) yield chunk.subarray(from - position, to - position);
      if (run.offset + run.length > end) break;
      next++;
    }
    position = end;
  }
}
