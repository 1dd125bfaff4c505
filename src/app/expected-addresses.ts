import { enginePlace } from '../hosts/docker/index.ts';
import type { AppConfig } from './app-config.ts';

/**
 * Where the host of a command is looked for, as `openHosts()` does it: addresses of engines, and '' for the
 * managed volumes. Asks none of them. A place that the user named excludes those that come after it, and so does
 * one that cannot be read: opening the host there says why.
 */
export async function expectedAddresses({ host, env }: Pick<AppConfig, 'host' | 'env'>): Promise<string[]> {
  if (host === 'embedded') return [''];
  const kinds = host === 'docker' || host === 'podman' ? ([host] as const) : (['docker', 'podman'] as const);
  const addresses: string[] = [];
  try {
    for (const kind of kinds) {
      const { address, explicit } = await enginePlace(env, kind);
      addresses.push(address);
      if (explicit) return addresses;
    }
  } catch {
    return addresses;
  }
  return kinds.length === 1 ? addresses : [...addresses, ''];
}
