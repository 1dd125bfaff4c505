import type { Containers } from '../../hosts/containers.ts';
import { groupState, isToBeFrozen, startFreezing, thaw } from './control-group.ts';
import type { AppStep } from '../plan-containers.ts';

export interface Thawed {
  /** When it ran again, by `performance.now()`. */
  readonly backAt: number;
  /** True when it was frozen until now. */
  readonly wasFrozen: boolean;
  /** True when it may have run since it was frozen, or has exited: its data may not have been still. */
  readonly isDisturbed: boolean;
}

/** Thaws a container, and only then asks its engine about it. */
export async function thawStep(
  containers: Pick<Containers, 'find'>,
  { group = '', identity, startedAt }: AppStep,
): Promise<Thawed> {
  const wasFrozen = groupState(group) === 'frozen' && isToBeFrozen(group);
  thaw(group);
  const backAt = performance.now();
  // The answer says only whether it was still, so an engine that does not answer holds nothing up.
  const now = await containers.find(identity.id).catch(() => undefined);
  // A user has also paused it in the engine, which still reports it as paused.
  if (now?.state === 'paused') startFreezing(group);
  const isSame = now?.state === 'running' && now.startedAt === startedAt;
  return { backAt, wasFrozen, isDisturbed: !wasFrozen || !isSame };
}

/**
 * Thaws a container that a killed process left frozen. Long after that, a user may have paused it in the
 * engine: that one stays as it is. Returns whether it did anything; may be repeated.
 */
export async function thawLeft(
  containers: Pick<Containers, 'find'>,
  { group = '', identity }: AppStep,
): Promise<boolean> {
  if (!isToBeFrozen(group)) return false;
  // Where the engine does not answer, its own pause is unlikely, and a freeze must not stay.
  const now = await containers.find(identity.id).catch(() => undefined);
  return now?.state !== 'paused' && thaw(group);
}
