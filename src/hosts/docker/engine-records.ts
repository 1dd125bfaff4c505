import { isAppError } from '../../model/errors.ts';
import type { EngineRecord, EngineRecords } from '../engine-records.ts';
import { type Environment, findDockerEndpoint } from './endpoint.ts';
import { EngineClient } from './engine-client.ts';
import type { EngineVolume, EngineVolumeList } from './engine-types.ts';

/** An engine that looks for a plugin which is not there does so for 15 seconds. */
const deadlineMs = 30_000;

/** Connects to nothing yet. */
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
