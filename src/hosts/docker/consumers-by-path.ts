import type { Consumer } from '../../model/volume.ts';
import type { CallOptions } from '../host.ts';
import type { DockerEndpoint } from './endpoint.ts';
import { EngineClient } from './engine-client.ts';
import type { EngineContainer } from './engine-types.ts';
import { isHelper } from './helper-label.ts';
import { toConsumer } from './volumes.ts';

/** A list of volumes is not to wait longer for an engine that is not even the host. */
const deadlineMs = 2000;

/** The engine's containers, running or stopped, by the directory of its machine that they mount: volumes and bind mounts. */
export async function consumersByPath(
  endpoint: DockerEndpoint,
  { signal }: CallOptions,
): Promise<ReadonlyMap<string, readonly Consumer[]>> {
  await using client = new EngineClient(endpoint, { connectTimeoutMs: deadlineMs });
  const containers = await client.json<readonly EngineContainer[]>({
    method: 'GET',
    path: '/containers/json?all=1',
    action: 'Cannot list containers',
    signal,
    deadlineMs,
  });
  const uses = containers
    .filter((container) => !isHelper(container))
    .flatMap((container) =>
      (container.Mounts ?? []).map((mount) => ({
        path: mount.Source ?? '',
        consumer: toConsumer(container, { path: mount.Destination ?? '', readOnly: mount.RW === false }),
      })),
    );
  const byPath = Map.groupBy(uses, ({ path }) => path);
  return new Map([...byPath].map(([path, found]) => [path, found.map(({ consumer }) => consumer)]));
}
