import type { Container } from '../hosts/containers.ts';
import type { ConsistencyMode } from '../model/consistency.ts';
import type { Stillness } from '../model/label-settings.ts';

/** What says how: the command line, labels and `x-holdfast`, or a policy and `defaults`; `usual` when none of them does. */
export type Strength = 'given' | 'own' | 'base' | 'usual';

export interface ConsistencyChoice {
  readonly consistency: ConsistencyMode;
  /** Whose request that is: what the command line says goes for every container, whatever their labels say. */
  readonly consistencyBy: Strength;
}

interface Member {
  readonly target: { readonly name: string };
  readonly writers: readonly Pick<Container, 'id'>[];
  readonly settings: ConsistencyChoice;
}

/** What labels say, once applications were asked. */
interface Asked {
  /** By container id. */
  readonly stillness: ReadonlyMap<string, Stillness>;
  readonly plan: { readonly consistency: ReadonlyMap<string, ConsistencyMode> };
}

export interface Ways {
  /** By container id: how it is made still, where that is not as the others are. */
  readonly stillness: ReadonlyMap<string, Stillness>;
  modeOf(member: Member): ConsistencyMode;
}

/**
 * How each volume is to be kept still, and which containers go another way; pure. A way that the command line names goes
 * for all of them; one that a policy or `defaults` name, where labels say nothing.
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
  // Who has a label is made still, though the others run on.
  for (const member of members.filter(isMixed))
    for (const { id } of member.writers) if (!stillness.has(id)) stillness.set(id, 'run');
  return {
    stillness,
    modeOf(member) {
      const { consistency, consistencyBy } = member.settings;
      const said = asked.plan.consistency.get(member.target.name);
      if (said !== undefined) return said;
      // It is in the stillness of its containers: the other volumes need not go the same way.
      const isOfContainers = consistencyBy === 'own' && (consistency === 'stop' || consistency === 'live');
      return isOfContainers || isMixed(member) ? 'auto' : consistency;
    },
  };
}

function isStilled({ stillness }: Asked, id: string): boolean {
  const way = stillness.get(id);
  return way === 'stop' || way === 'pause';
}
