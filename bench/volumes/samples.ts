export type SideName = 'Holdfast' | 'dockerd';

/** The durations of each side for each row, in milliseconds. */
export class Samples {
  readonly #all = new Map<string, number[]>();

  add(row: string, side: SideName, ms: number): void {
    const key = `${row}/${side}`;
    this.#all.set(key, [...(this.#all.get(key) ?? []), ms]);
  }

  of(row: string, side: SideName): readonly number[] {
    return this.#all.get(`${row}/${side}`) ?? [];
  }
}

/** The duration of the work in milliseconds. */
export async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** A B in one turn, B A in the next, so that neither always pays for being first. */
export function inTurn<T>(sides: readonly T[], turn: number): readonly T[] {
  return turn % 2 === 0 ? sides : sides.toReversed();
}
