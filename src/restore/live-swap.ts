import type { Container, Containers } from '../hosts/containers.ts';
import { quote } from '../model/quote.ts';
import type { Protection } from '../activity/index.ts';
import type { AppStep, Place, StillContainers } from '../quiesce/index.ts';
import type { Replacement } from './replacement.ts';

export interface LiveSwap {
  readonly replacement: Replacement;
  /** Where it takes place. */
  readonly places: readonly Place[];
  /** Makes ready what can be only when nothing runs on the data. */
  readonly fill?: (() => Promise<void>) | undefined;
  /** For the journal of the containers. */
  readonly reason: string;
  /** How long containers may take to be healthy. */
  readonly healthyWithinMs: number;
  /**
   * Ids of containers that were not well when the work began: they are not expected to be so afterwards. It is looked at
   * before anything is done to them: to be paused for the safety snapshot makes a container look unhealthy for a while.
   */
  readonly ailing: ReadonlySet<string>;
}

/** One that is under way. */
export interface Live {
  readonly parts: Protection;
  readonly swap: LiveSwap;
  readonly containers: Containers;
  readonly before: readonly Container[];
  readonly levels: readonly (readonly AppStep[])[];
  /** Those that others have started since, and that had to be stopped to go back, with journals of their own. */
  readonly others: StillContainers[];
  /** Ids of such for which there was no room to write them down. */
  readonly unwritten: Set<string>;
}

/** For people. */
export function namesOf({ places }: LiveSwap): string {
  return places.map(({ name }) => quote(name)).join(', ');
}
