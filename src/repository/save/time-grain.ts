/** A clock tick of the kernel is at most a hundredth of a second. */
const grainMs = 100;
/** For file systems with times in whole seconds. */
const coarseGrainMs = 2000;

/** How close two changes may be and still leave the same time, in milliseconds. */
export function grainOf(ctimeNs: bigint): number {
  return ctimeNs % 1_000_000_000n === 0n ? coarseGrainMs : grainMs;
}
