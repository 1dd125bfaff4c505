import { AppError, isAppError } from '../../model/errors.ts';
import { trialLabel } from '../containers.ts';
import type { EngineClient } from './engine-client.ts';

interface EngineNetwork {
  readonly Id: string;
  readonly Internal?: boolean | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly Containers?: Readonly<Record<string, unknown>> | null;
}

export interface TrialNetwork {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Makes the network of a stack's trials. One of that name that is no isolated network of trials is refused. */
export async function makeTrialNetwork(
  client: EngineClient,
  { name, labels }: TrialNetwork,
  signal: AbortSignal | undefined,
): Promise<void> {
  if ((await findNetwork(client, name, signal)) === undefined) {
    try {
      await client.json({
        method: 'POST',
        path: '/networks/create',
        action: `Cannot make the network "${name}"`,
        json: { Name: name, Driver: 'bridge', Internal: true, Labels: labels, CheckDuplicate: true },
        signal,
      });
    } catch (error) {
      // Another trial of the stack was faster.
      if (!isAppError(error, 'conflict')) throw error;
    }
  }
  const made = await findNetwork(client, name, signal);
  if (made?.Internal === true && made.Labels?.[trialLabel] !== undefined) return;
  throw new AppError('conflict', `Cannot use the network "${name}" for a trial: it is not an isolated one`, {
    hint: 'Choose another name, or remove that network.',
  });
}

/** Removes a network of trials on which no container is any more, running or not. */
export async function removeTrialNetwork(
  client: EngineClient,
  name: string,
  signal?: AbortSignal,
): Promise<void> {
  const network = await findNetwork(client, name, signal);
  if (network?.Labels?.[trialLabel] === undefined) return;
  const filters = encodeURIComponent(JSON.stringify({ network: [network.Id] }));
  const users = await client.json<readonly unknown[]>({
    method: 'GET',
    path: `/containers/json?all=1&filters=${filters}`,
    action: 'Cannot list containers',
    signal,
  });
  if (users.length > 0) return;
  try {
    await client.json({
      method: 'DELETE',
      path: `/networks/${network.Id}`,
      action: `Cannot remove the network "${name}"`,
      signal,
    });
  } catch (error) {
    // 403 is "has active endpoints": somebody came in the meantime, and removes it when leaving.
    if (!isAppError(error, 'not-found') && !isAppError(error, 'denied')) throw error;
  }
}

async function findNetwork(
  client: EngineClient,
  name: string,
  signal: AbortSignal | undefined,
): Promise<EngineNetwork | undefined> {
  try {
    return await client.json<EngineNetwork>({
      method: 'GET',
      path: `/networks/${encodeURIComponent(name)}`,
      action: `Cannot inspect the network "${name}"`,
      signal,
    });
  } catch (error) {
    if (isAppError(error, 'not-found')) return undefined;
    throw error;
  }
}
