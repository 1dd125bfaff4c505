import type { Containers } from '../../hosts/containers.ts';
import { groupState, isToBeFrozen, startFreezing, thaw } from './control-group.ts';
import type { AppStep } from '../plan-still.ts';

export interface Thawed {
  /** When it ran again, by `performance.now()`. */
  readonly backAt: number;
  /** True when it was frozen until now. */
  readonly wasFrozen: boolean;
  /** True when it may have run since it was frozen, or has ended: nobody can say that its data was still. */
  readonly isDisturbed: boolean;
}

/** Lets a container run that was frozen, and only then asks its engine what has become of it. */
export async function thawStep(
  containers: Pick<Containers, 'find'>,
  { group = '', identity, startedAt }: AppStep,
): Promise<Thawed> {
  const wasFrozen = groupState(group) === 'frozen' && isToBeFrozen(group);
  thaw(group);
  const backAt = performance.now();
  // Whether it was still is all that it would tell: nothing else waits for an engine that does not answer.
  const now = await containers.find(identity.id).catch(() => undefined);
  // Somebody has paused it in the engine as well, which goes on to say so.
  if (now?.state === 'paused') startFreezing(group);
  const isSame = now?.state === 'running' && now.startedAt === startedAt;
  return { backAt, wasFrozen, isDisturbed: !wasFrozen || !isSame };
}

/**
 * Lets a container run that a process has left frozen which was killed. Long after that, somebody may have paused it in
 * the engine: that one stays as it is. Gives whether something was done; may be repeated.
 */
export async function thawLeft(
  containers: Pick<Containers, 'find'>,
  { group = '', identity }: AppStep,
): Promise<boolean> {
  if (!isToBeFrozen(group)) return false;
  const now = await containers.find(identity.id).catch(() => undefined);
  return now?.state !== 'paused' && thaw(group);
}
