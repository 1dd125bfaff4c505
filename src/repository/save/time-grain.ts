/** A clock tick of the kernel's is at most a hundredth of a second. */
const grainMs = 100;
/** Of file systems whose times are whole seconds. */
const coarseGrainMs = 2000;

/** How near to each other two changes may be that leave the same time, in milliseconds. */
export function grainOf(ctimeNs: bigint): number {
  return ctimeNs % 1_000_000_000n === 0n ? coarseGrainMs : grainMs;
}
