import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Of those that share workers. */
const filesInRun = 12;

/**
 * The order of the files: the lanes take turns, in proportion to how many files they have, so that files that wait for an
 * engine and files that keep a processor busy run beside each other from the first to the last. Within a lane the longest
 * come first; of the lanes' first files, those of the smallest lanes, for one of them is the longest of all. Those of stacks
 * begin a little later, because their images are still being made. Files that share workers come in runs: a worker is kept only
 * when the next file is of the same lane.
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
    const share = (file: TestSpecification): number => {
      const place = places.get(file) ?? 0;
      const first = file.project.config.isolate ? place : place - (place % filesInRun);
      const ofLane = first / (counts.get(file.project.name) ?? 1);
      return Math.max(ofLane, file.project.name === 'stacks' ? 0.06 : 0);
    };
    const size = (file: TestSpecification): number => counts.get(file.project.name) ?? 0;
    return sorted.toSorted((a, b) => share(a) - share(b) || size(a) - size(b));
  }
}
