import { enginePlaces } from '../hosts/docker/index.ts';
import type { AppConfig } from './app-config.ts';

/**
 * Where the host of a command is looked for, as `openHosts()` does it: addresses of engines, and '' for the
 * managed volumes. Asks none of them. A place that the user named excludes those that come after it.
 */
export async function expectedAddresses({ host, env }: Pick<AppConfig, 'host' | 'env'>): Promise<string[]> {
  if (host === 'embedded') return [''];
  const places = await enginePlaces(
    env,
    host === 'docker' || host === 'podman' ? [host] : ['docker', 'podman'],
  );
  const named = places.findIndex(({ explicit }) => explicit);
  const addresses = places.map(({ address }) => address);
  if (named >= 0) return addresses.slice(0, named + 1);
  return host === 'docker' || host === 'podman' ? addresses : [...addresses, ''];
}
