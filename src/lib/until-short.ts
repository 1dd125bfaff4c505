export interface ShortWork {
  /** From this on it takes long. */
  readonly shortMs: number;
  /** How often it is done, should it never be short. */
  readonly most: number;
}

/** Does a work again until it is short: of what comes up meanwhile, there is less each time. */
export async function untilShort(work: () => Promise<void>, { shortMs, most }: ShortWork): Promise<void> {
  for (let time = 0; time < most; time++) {
    const began = performance.now();
    await work();
    if (performance.now() - began < shortMs) return;
  }
}
