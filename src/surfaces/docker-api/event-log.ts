import type { ManagedVolumes, VolumeEvent } from '../../app/app.ts';

export interface ApiEvent {
  readonly Type: 'volume';
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> };
  readonly scope: 'local';
  readonly time: number;
  readonly timeNano: number;
}

/** An event's time in whole nanoseconds: more than a number can hold exactly. */
export interface TimedEvent {
  readonly nanoseconds: bigint;
  readonly event: ApiEvent;
}

const remembered = 256;

const actions: Partial<Readonly<Record<VolumeEvent['kind'], string>>> = {
  create: 'create',
  destroy: 'destroy',
  mount: 'mount',
  unmount: 'unmount',
  restore: 'create',
  rename: 'create',
};

/** Past volume events, as many as the engine remembers, and new ones. */
export class EventLog implements Disposable {
  readonly #past: TimedEvent[] = [];
  readonly #listeners = new Set<(event: TimedEvent) => void>();
  readonly #unsubscribe: () => void;

  constructor(volumes: Pick<ManagedVolumes, 'subscribe'>) {
    this.#unsubscribe = volumes.subscribe((event) => this.#take(event));
  }

  past(): readonly TimedEvent[] {
    return this.#past;
  }

  listen(listener: (event: TimedEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  note(action: string, id: string, attributes: Readonly<Record<string, string>>): void {
    const now = Date.now();
    const last = this.#past.at(-1)?.nanoseconds ?? 0n;
    // Two within a millisecond stay in their order.
    const nanoseconds = BigInt(now) * 1_000_000n > last ? BigInt(now) * 1_000_000n : last + 1n;
    const event: TimedEvent = {
      nanoseconds,
      event: {
        Type: 'volume',
        Action: action,
        Actor: { ID: id, Attributes: attributes },
        scope: 'local',
        time: Number(nanoseconds / 1_000_000_000n),
        timeNano: Number(nanoseconds),
      },
    };
    this.#past.push(event);
    if (this.#past.length > remembered) this.#past.shift();
    for (const listener of this.#listeners) listener(event);
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
    this.#listeners.clear();
  }

  /** Events that the engine does not have are mapped to ones that its clients know, or left out. */
  #take({ kind, volume, id, from }: VolumeEvent): void {
    const { name, driver } = volume;
    const holder = id === undefined ? {} : { container: id };
    if (kind === 'rename' && from !== undefined) this.note('destroy', from, { driver });
    const action = actions[kind];
    if (action !== undefined) this.note(action, name, { driver, ...holder });
  }
}
