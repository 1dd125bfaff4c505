import type { ApiSide } from './measure-calls.ts';
import { inTurn, type Samples, timeOf } from './samples.ts';
import { pings } from './volume-rows.ts';

export interface PingsRequest {
  /** The engine itself, and the API in front of it. */
  readonly sides: readonly ApiSide[];
  readonly row: string;
  readonly round: number;
  readonly samples: Samples;
  readonly signal: AbortSignal;
}

/** The cost of the API in front of an engine: the smallest of all requests, sequentially. */
export async function measurePings({ sides, row, round, samples, signal }: PingsRequest): Promise<void> {
  for (const { name, client } of inTurn(sides, round)) {
    signal.throwIfAborted();
    // Opens the connection before the measurement.
    await client.call('GET', '/_ping');
    const ms = await timeOf(async () => {
      for (let ping = 0; ping < pings; ping += 1) await client.call('GET', '/_ping');
    });
    samples.add(row, name, ms);
  }
}
