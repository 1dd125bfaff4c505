import { existsSync } from 'node:fs';
import { isAppError } from '../model/errors.ts';
import type { Consumer, HostKind, Volume } from '../model/volume.ts';
import { consumersByPath, engineEndpoints } from '../hosts/docker/index.ts';

interface Asking {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the volumes were found, with their consumers there. */
  readonly host: HostKind;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Adds the containers of this machine's other engines as consumers: Podman's and Docker's containers can use
 * the same volume by the plugin, or mount its directory. For display only: an engine that does not answer
 * within two seconds is left out. Volumes of an engine's own driver are left as they are.
 */
export async function withConsumersElsewhere(
  volumes: readonly Volume[],
  { env, host, signal }: Asking,
): Promise<readonly Volume[]> {
  const isShared = (volume: Volume): boolean =>
    Boolean(volume.mountpoint) && (host === 'embedded' || volume.driver !== 'local');
  if (!volumes.some(isShared)) return volumes;
  // A request to a socket that is not there costs as much as the rest of the work.
  const endpoints = (await engineEndpoints(env, host)).filter(
    (endpoint) => endpoint.kind !== 'unix' || existsSync(endpoint.socketPath),
  );
  const found = await Promise.all(
    endpoints.map(async (endpoint) => {
      try {
        return await consumersByPath(endpoint, { signal });
      } catch (error) {
        if (!isAppError(error) || error.code === 'cancelled') throw error;
        return new Map<string, readonly Consumer[]>();
      }
    }),
  );
  return volumes.map((volume) => {
    if (!isShared(volume)) return volume;
    const known = new Set(volume.consumers.map(({ id }) => id));
    const others = found.flatMap((byPath) => byPath.get(volume.mountpoint ?? '') ?? []);
    const more = others.filter(({ id }) => !known.has(id));
    return more.length === 0 ? volume : { ...volume, consumers: [...volume.consumers, ...unique(more)] };
  });
}

/** Two addresses can lead to the same engine. */
function unique(consumers: readonly Consumer[]): Consumer[] {
  return [...new Map(consumers.map((consumer) => [`${consumer.id} ${consumer.path}`, consumer])).values()];
}
