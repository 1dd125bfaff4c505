import type { Container } from '../hosts/containers.ts';
import type { ConsistencyMode } from '../model/consistency.ts';
import type { Stillness } from '../model/label-settings.ts';

/**
 * Where a setting comes from: the command line (`given`), labels and `x-holdfast` (`own`), a policy or
 * `defaults` (`base`), or nowhere (`usual`).
 */
export type Strength = 'given' | 'own' | 'base' | 'usual';

export interface ConsistencyChoice {
  readonly consistency: ConsistencyMode;
  /** The source of the mode: the command line's applies to every container, whatever their labels say. */
  readonly consistencyBy: Strength;
}

interface Member {
  readonly target: { readonly name: string };
  readonly writers: readonly Pick<Container, 'id'>[];
  readonly settings: ConsistencyChoice;
}

/** What labels ask, after applications had their say. */
interface Asked {
  /** By container id. */
  readonly stillness: ReadonlyMap<string, Stillness>;
  readonly plan: { readonly consistency: ReadonlyMap<string, ConsistencyMode> };
}

export interface Ways {
  /** By container id, for those that differ from the rest. */
  readonly stillness: ReadonlyMap<string, Stillness>;
  modeOf(member: Member): ConsistencyMode;
}

/**
 * How each volume is to be kept still, and which containers are handled differently; pure. A mode from the
 * command line applies to all of them; one from a policy or `defaults` only where labels say nothing.
 */
export function chooseWays(members: readonly Member[], asked: Asked | undefined): Ways {
  const isGiven = members.some(
    ({ settings }) => settings.consistencyBy === 'given' && settings.consistency !== 'auto',
  );
  if (isGiven || asked === undefined)
    return { stillness: new Map(), modeOf: ({ settings }) => settings.consistency };
  const stillness = new Map(asked.stillness);
  const isMixed = (member: Member): boolean =>
    member.settings.consistency === 'live' && member.writers.some(({ id }) => isStilled(asked, id));
  // A labelled container is stopped or paused even though the others run on.
  for (const member of members.filter(isMixed))
    for (const { id } of member.writers) if (!stillness.has(id)) stillness.set(id, 'run');
  return {
    stillness,
    modeOf(member) {
      const { consistency, consistencyBy } = member.settings;
      const said = asked.plan.consistency.get(member.target.name);
      if (said !== undefined) return said;
      // The mode became part of its containers' own; other volumes need not follow.
      const isOfContainers = consistencyBy === 'own' && (consistency === 'stop' || consistency === 'live');
      return isOfContainers || isMixed(member) ? 'auto' : consistency;
    },
  };
}

function isStilled({ stillness }: Asked, id: string): boolean {
  const way = stillness.get(id);
  return way === 'stop' || way === 'pause';
}
