import type { CallOptions } from './host.ts';

type Texts = Readonly<Record<string, string>>;

/** An engine's own record of a volume, independent of the volume's driver. */
export interface EngineRecord {
  readonly name: string;
  /** The engine's name for the driver. */
  readonly driver: string;
  readonly labels: Texts;
  readonly options: Texts;
}

/**
 * An engine's records of its drivers' volumes. It passes labels to no plugin, and forgets labels and options
 * with the volume. `unavailable` when the engine does not respond in time.
 */
export interface EngineRecords extends AsyncDisposable {
  /** The engine's endpoint, for messages. */
  readonly address: string;
  /** Waits while the engine is working on the volume. */
  find(name: string, options?: CallOptions): Promise<EngineRecord | undefined>;
  list(driver: string, options?: CallOptions): Promise<EngineRecord[]>;
  /**
   * Makes a driver's volume known to the engine, and returns the engine's record: one that it already had is
   * kept. The driver creates the volume if it lacks it.
   */
  add(record: EngineRecord, options?: CallOptions): Promise<EngineRecord>;
}
