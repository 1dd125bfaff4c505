export interface ShortWork {
  /** A run below this duration counts as short. */
  readonly shortMs: number;
  /** The maximum number of runs. */
  readonly most: number;
}

/** Repeats a work until a run is short: each run leaves less to do for the next. */
export async function untilShort(work: () => Promise<void>, { shortMs, most }: ShortWork): Promise<void> {
  for (let time = 0; time < most; time++) {
    const began = performance.now();
    await work();
    if (performance.now() - began < shortMs) return;
  }
}
