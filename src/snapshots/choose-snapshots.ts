import type { Snapshot } from '../model/snapshot.ts';
import { parseTarget } from '../model/target.ts';
import { findSnapshot, type FindContext, lineage, targetName } from './find-snapshot.ts';

/** The snapshots of the references, oldest first: a volume's name means all of its own. Pure. */
export function chooseSnapshots(references: readonly string[], context: FindContext): Snapshot[] {
  const chosen = new Set(references.flatMap((reference) => meantBy(reference, context)));
  return context.snapshots.filter((snapshot) => chosen.has(snapshot));
}

function meantBy(reference: string, context: FindContext): readonly Snapshot[] {
  const isName = reference !== 'latest' && !reference.includes('@');
  const named = isName ? lineage(targetName(parseTarget(reference)), context) : [];
  return named.length > 0 ? named : [findSnapshot(reference, context)];
}
