import type { MirrorCounts, TreeMirror } from '../mirror/tree-mirror.ts';

const shortMs = 2000;
const shortBytes = 64 << 20;
const mostPasses = 8;

export interface SeedOptions {
  /** Slow work that is done once most is copied; changes meanwhile are copied after it. */
  readonly afterwards: () => Promise<void>;
}

/** Copies the data in passes until one has little to do, or they do not get shorter. Returns their number. */
export async function seedUntilShort(
  mirror: Pick<TreeMirror, 'pass'>,
  { afterwards }: SeedOptions,
): Promise<number> {
  const passes = await passUntilShort(mirror);
  await afterwards();
  await mirror.pass({ isStill: false });
  return passes + 1;
}

async function passUntilShort(mirror: Pick<TreeMirror, 'pass'>): Promise<number> {
  let before = await mirror.pass({ isStill: false });
  for (let passes = 1; ; passes++) {
    // The first pass says nothing about changes meanwhile.
    if (passes >= 2 && isShort(before)) return passes;
    if (passes >= mostPasses) return passes;
    const now = await mirror.pass({ isStill: false });
    if (passes >= 2 && now.durationMs > before.durationMs / 2) return passes + 1;
    before = now;
  }
}

function isShort({ durationMs, bytes }: MirrorCounts): boolean {
  return durationMs <= shortMs && bytes <= shortBytes;
}
