import type { CallOptions } from './host.ts';

type Texts = Readonly<Record<string, string>>;

/** What an engine keeps of a volume itself, whatever the volume's driver knows. */
export interface EngineRecord {
  readonly name: string;
  /** The driver by the engine's name for it. */
  readonly driver: string;
  readonly labels: Texts;
  readonly options: Texts;
}

/**
 * The records that an engine keeps of the volumes of its drivers. It tells no plugin of the labels, and forgets labels and
 * options with the volume. `unavailable` when the engine does not answer in time.
 */
export interface EngineRecords extends AsyncDisposable {
  /** How the engine is reached, for messages. */
  readonly address: string;
  /** Waits while the engine is at work on the volume. */
  find(name: string, options?: CallOptions): Promise<EngineRecord | undefined>;
  list(driver: string, options?: CallOptions): Promise<EngineRecord[]>;
  /**
   * Makes a volume that its driver has known to the engine, and returns what the engine knows of it now: of one that it
   * has heard of since, it keeps what it had. A volume that the driver has not is made by it.
   */
  add(record: EngineRecord, options?: CallOptions): Promise<EngineRecord>;
}
