import { AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import { parseVersionedTarget, type SnapshotReference } from '../../model/target.ts';
import { type FindContext, findSnapshot, safetyTag, targetName } from '../find-snapshot.ts';
import { groupSnapshots } from '../group-snapshots.ts';

export interface DrillChoice {
  readonly kind: 'volume' | 'stack';
  /** One of each volume. */
  readonly snapshots: readonly Snapshot[];
}

/** Which snapshots a drill restores: a volume's, else one of each volume of a stack, of one restore point. Pure. */
export function chooseDrill(
  { target, snapshot }: { readonly target: string; readonly snapshot: string | undefined },
  context: FindContext,
): DrillChoice {
  const text = snapshot === undefined ? target : `${target}@${snapshot}`;
  try {
    return { kind: 'volume', snapshots: [findSnapshot(text, context)] };
  } catch (error) {
    if (!isAppError(error, 'not-found')) throw error;
    const { target: named, snapshot: reference } = parseVersionedTarget(text, context.now);
    const stack = targetName(named);
    const ofStack = backupsOfStack(stack, context.snapshots);
    if (ofStack.length === 0) throw error;
    return { kind: 'stack', snapshots: choosePoint(ofStack, { stack, reference }) };
  }
}

function backupsOfStack(stack: string, snapshots: readonly Snapshot[]): Snapshot[] {
  return snapshots.filter(
    ({ volume, tags }) => volume?.stack === stack && volume.kind === 'volume' && !tags.includes(safetyTag),
  );
}

interface PointWish {
  readonly stack: string;
  readonly reference: SnapshotReference;
}

/** The newest restore point, or the newest at a time. A volume that has no part in it has its newest until then. */
function choosePoint(ofStack: readonly Snapshot[], wish: PointWish): Snapshot[] {
  const until = untilOf(ofStack, wish);
  const before = ofStack.filter(({ time }) => Date.parse(time) <= until);
  const point = before.findLast(({ restorePoint }) => restorePoint !== undefined)?.restorePoint;
  const found = groupSnapshots(before).flatMap(({ snapshots }) => {
    const ofPoint = snapshots.findLast(({ restorePoint }) => point !== undefined && restorePoint === point);
    return ofPoint ?? snapshots.at(-1) ?? [];
  });
  if (found.length > 0) return found;
  throw new AppError(
    'not-found',
    `There is no snapshot of the stack ${quote(wish.stack)} from then or before`,
    {
      hint: `See "holdfast snapshots --stack ${wish.stack}" for what there is.`,
    },
  );
}

function untilOf(ofStack: readonly Snapshot[], { stack, reference }: PointWish): number {
  if (reference.kind === 'latest') return Number.POSITIVE_INFINITY;
  if (reference.kind === 'time') return reference.time.getTime();
  const named = ofStack.find(({ id }) => id.startsWith(reference.prefix));
  if (named !== undefined) return Date.parse(named.time);
  throw new AppError(
    'not-found',
    `There is no snapshot ${quote(reference.prefix)} of the stack ${quote(stack)}`,
  );
}
