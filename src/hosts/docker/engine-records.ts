import { isAppError } from '../../model/errors.ts';
import type { Consumer } from '../../model/volume.ts';
import type { EngineRecord, EngineRecords } from '../engine-records.ts';
import type { CallOptions } from '../host.ts';
import { type DockerEndpoint, type Environment, findDockerEndpoint } from './endpoint.ts';
import { EngineClient } from './engine-client.ts';
import type { EngineContainer, EngineVolume, EngineVolumeList } from './engine-types.ts';
import { isHelper } from './image-labels.ts';
import { toConsumer } from './volumes.ts';

/** An engine searches 15 seconds for a missing plugin. */
const deadlineMs = 30_000;

/** Does not connect yet. */
export async function openEngineRecords(env: Environment): Promise<EngineRecords> {
  const client = new EngineClient(await findDockerEndpoint(env));
  return {
    address: client.endpoint.address,
    async find(name, { signal } = {}) {
      const action = `Cannot inspect volume "${name}"`;
      const path = `/volumes/${encodeURIComponent(name)}`;
      try {
        return toRecord(await client.json<EngineVolume>({ method: 'GET', path, action, signal, deadlineMs }));
      } catch (error) {
        if (isAppError(error, 'not-found')) return undefined;
        throw error;
      }
    },
    async list(driver, { signal } = {}) {
      const filters = encodeURIComponent(JSON.stringify({ driver: [driver] }));
      const call = { method: 'GET', path: `/volumes?filters=${filters}`, signal, deadlineMs } as const;
      const list = await client.json<EngineVolumeList>({ ...call, action: 'Cannot list volumes' });
      return (list.Volumes ?? []).map(toRecord);
    },
    async add({ name, driver, labels, options }, { signal } = {}) {
      const json = { Name: name, Driver: driver, DriverOpts: options, Labels: labels };
      const action = `Cannot make volume "${name}" known to the engine`;
      const call = { method: 'POST', path: '/volumes/create', json, action, signal, deadlineMs } as const;
      return toRecord(await client.json<EngineVolume>(call));
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

function toRecord({
  Name: name,
  Driver: driver,
  Labels: labels,
  Options: options,
}: EngineVolume): EngineRecord {
  return { name, driver: driver || 'local', labels: labels ?? {}, options: options ?? {} };
}

/** A list of volumes must not wait longer for an engine that is not even the host. */
const askedWithinMs = 2000;

/** The engine's containers, running or stopped, by the directory of its machine that they mount: volumes and bind mounts. */
export async function consumersByPath(
  endpoint: DockerEndpoint,
  { signal }: CallOptions,
): Promise<ReadonlyMap<string, readonly Consumer[]>> {
  await using client = new EngineClient(endpoint, { connectTimeoutMs: askedWithinMs });
  const containers = await client.json<readonly EngineContainer[]>({
    method: 'GET',
    path: '/containers/json?all=1',
    action: 'Cannot list containers',
    signal,
    deadlineMs: askedWithinMs,
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
