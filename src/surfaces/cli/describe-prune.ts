import type { PruneSummary } from '../../app/app.ts';
import { amount, formatSize, grouped } from '../../model/size.ts';

export function describePrunePlan(plan: PruneSummary): string {
  const { packs, used, unused, duplicates, remove, unreferenced, repack } = plan;
  if (plan.freedBytes === 0 && repack.count === 0 && unused.count === 0)
    return `There is nothing to remove: ${formatSize(packs.bytes)} are stored, and all of it is used.`;
  return [
    `Stored:            ${formatSize(packs.bytes)} in ${amount(packs.count, 'pack')}`,
    `Used:              ${formatSize(used.bytes)} in ${amount(used.count, 'blob')}`,
    `Unused:            ${formatSize(unused.bytes)} in ${amount(unused.count, 'blob')}`,
    ...(duplicates.count > 0 ? [`  of it duplicates: ${formatSize(duplicates.bytes)}`] : []),
    `To remove:         ${formatSize(remove.bytes)} in ${amount(remove.count, 'pack')} that nothing uses`,
    ...(unreferenced.count > 0
      ? [
          `To remove:         ${formatSize(unreferenced.bytes)} in ${amount(unreferenced.count, 'leftover pack')}`,
        ]
      : []),
    `To repack:         ${formatSize(repack.bytes)} in ${amount(repack.count, 'pack')} that ${repack.count === 1 ? 'is' : 'are'} used in part`,
    `Freed by it:       ${formatSize(plan.freedBytes)}`,
    `Stays unused:      ${formatSize(plan.unusedAfterBytes)}`,
  ].join('\n');
}

export function describePruneReport({
  freedBytes,
  remove,
  unreferenced,
  repack,
  packs,
  unusedAfterBytes,
}: PruneSummary): string {
  if (remove.count + unreferenced.count + repack.count === 0)
    return `Nothing was removed: ${formatSize(packs.bytes)} are stored, and ${formatSize(unusedAfterBytes)} of it are unused, within the limit.`;
  const written = repack.count === 0 ? '' : `, ${grouped(repack.count)} written anew`;
  return `Space reclaimed: ${formatSize(freedBytes)} (${amount(remove.count + unreferenced.count, 'pack')} removed${written}). Stored now: ${formatSize(packs.bytes - freedBytes)}, of it unused: ${formatSize(unusedAfterBytes)}.`;
}
