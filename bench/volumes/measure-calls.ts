import { AppError } from '../../src/model/errors.ts';
import type { ApiClient } from '../api-client.ts';
import { settleDisk } from '../disk.ts';
import { inTurn, type Samples, type SideName, timeOf } from './samples.ts';
import type { VolumeCounts, VolumeRows } from './volume-rows.ts';

/** A server of the Engine API. */
export interface ApiSide {
  readonly name: SideName;
  readonly client: ApiClient;
}

export interface CallsRequest {
  readonly folder: string;
  readonly sides: readonly ApiSide[];
  readonly rows: VolumeRows;
  readonly counts: VolumeCounts;
  readonly round: number;
  readonly samples: Samples;
  readonly signal: AbortSignal;
}

const blockSize = 100;
const listTurns = 5;

type Call = (client: ApiClient, name: string) => Promise<unknown>;

/**
 * One round: creates volumes, lists and inspects them, and removes them, at each side with the same client.
 */
export async function measureCalls(request: CallsRequest): Promise<void> {
  const { rows } = request;
  await forEachVolume(request, rows.create.title, (client, name) =>
    client.call('POST', '/volumes/create', { Name: name, Driver: 'local', Labels: { purpose: 'benchmark' } }),
  );
  await measureLists(request);
  await forEachVolume(request, rows.inspect.title, (client, name) => client.call('GET', `/volumes/${name}`));
  await forEachVolume(request, rows.remove.title, (client, name) =>
    client.call('DELETE', `/volumes/${name}`),
  );
}

/** In alternating blocks, so that a disturbance of the machine affects both. */
async function forEachVolume(request: CallsRequest, row: string, call: Call): Promise<void> {
  const { sides, counts, folder, round, samples, signal } = request;
  const totals = new Map<SideName, number>();
  settleDisk(folder);
  for (let first = 0; first < counts.volumes; first += blockSize) {
    for (const { name: side, client } of inTurn(sides, round + first / blockSize)) {
      signal.throwIfAborted();
      const ms = await timeOf(async () => {
        for (let index = first; index < Math.min(first + blockSize, counts.volumes); index += 1)
          await call(client, `volume-${index}`);
      });
      totals.set(side, (totals.get(side) ?? 0) + ms);
    }
  }
  for (const [side, ms] of totals) samples.add(row, side, ms);
}

async function measureLists({ sides, rows, counts, samples, signal }: CallsRequest): Promise<void> {
  for (let turn = 0; turn < listTurns; turn += 1) {
    for (const { name: side, client } of inTurn(sides, turn)) {
      signal.throwIfAborted();
      let text = '';
      const ms = await timeOf(async () => (text = await client.call('GET', '/volumes')));
      requireCount(text, counts.volumes, side);
      samples.add(rows.list.title, side, ms);
    }
  }
}

/** Throws for an incomplete list, which does not count. dockerd queries other programs' plugins too. */
function requireCount(text: string, count: number, side: SideName): void {
  const { Volumes: volumes } = JSON.parse(text) as { readonly Volumes: readonly { readonly Name: string }[] };
  const found = volumes.filter(({ Name: name }) => /^volume-\d+$/.test(name)).length;
  if (found !== count)
    throw new AppError('integrity', `${side} lists ${found} of the ${count} volumes that were made`);
}
