import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The order of the files: the lanes take turns, in proportion to how many files they have, so that files that wait for an
 * engine and files that keep a processor busy run beside each other from the first to the last. Within a lane the longest
 * come first; of the lanes' first files, those of the smallest lanes, for one of them is the longest of all. Those of stacks
 * begin a little later, because their images are still being made.
 */
export class MixedLanes extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const counts = new Map<string, number>();
    const places = new Map<TestSpecification, number>();
    for (const file of sorted) {
      const place = counts.get(file.project.name) ?? 0;
      places.set(file, place);
      counts.set(file.project.name, place + 1);
    }
    const share = (file: TestSpecification): number =>
      Math.max(
        (places.get(file) ?? 0) / (counts.get(file.project.name) ?? 1),
        file.project.name === 'stacks' ? 0.06 : 0,
      );
    const size = (file: TestSpecification): number => counts.get(file.project.name) ?? 0;
    return sorted.toSorted((a, b) => share(a) - share(b) || size(a) - size(b));
  }
}
