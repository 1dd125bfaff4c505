import { AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import { parseVersionedTarget } from '../../model/target.ts';
import { chooseRestorePoint } from '../../restore/index.ts';
import { type FindContext, findSnapshot, safetyTag, targetName } from '../../snapshots/index.ts';

export interface DrillChoice {
  readonly kind: 'volume' | 'stack';
  /** One of each volume. */
  readonly snapshots: readonly Snapshot[];
}

/** The snapshots that a drill restores: a volume's, or those that a restore of the stack would take. Pure. */
export function chooseDrill(
  { target, snapshot }: { readonly target: string; readonly snapshot: string | undefined },
  context: FindContext,
): DrillChoice {
  const text = snapshot === undefined ? target : `${target}@${snapshot}`;
  try {
    return { kind: 'volume', snapshots: [findSnapshot(text, context)] };
  } catch (error) {
    if (!isAppError(error, 'not-found')) throw error;
    const stack = targetName(parseVersionedTarget(text, context.now).target);
    const isStack = context.snapshots.some(
      ({ volume, tags }) => volume?.stack === stack && volume.kind === 'volume' && !tags.includes(safetyTag),
    );
    if (!isStack) {
      // Its name is that of directories alone.
      if (!context.snapshots.some(({ volume }) => volume?.stack === stack)) throw error;
      throw new AppError('not-found', `No snapshot holds a volume of the stack ${quote(stack)}`, {
        hint: 'A drill starts images on volumes, and directories alone start nothing. An anonymous volume is drilled by its own name: see "holdfast snapshots".',
      });
    }
    const { snapshots } = chooseRestorePoint(text, context);
    return { kind: 'stack', snapshots: snapshots.filter(({ volume }) => volume?.kind === 'volume') };
  }
}
