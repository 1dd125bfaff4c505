import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DockerEndpoint } from './endpoint.ts';
import type { EngineInfo, EngineVolume } from './engine-types.ts';

/** Podman returns a new id with every response: this one is stable, for a machine and its storage folder. */
export async function podmanIdentity(info: EngineInfo, endpoint: DockerEndpoint): Promise<string> {
  const machine =
    endpoint.kind === 'unix' ? (await readFile('/etc/machine-id', 'utf8').catch(() => '')).trim() : '';
  return `podman:${machine || (info.Name ?? '')}:${info.DockerRootDir ?? ''}`;
}

/**
 * Podman has no file that identifies its folder. It is proven when the volume's folder as we see it was
 * created in the second that Podman reports.
 */
export async function isPodmanFolderHere(volume: EngineVolume): Promise<boolean> {
  if (!volume.Mountpoint?.startsWith('/') || !volume.CreatedAt) return false;
  const found = await stat(dirname(volume.Mountpoint)).catch(() => undefined);
  const createdMs = Date.parse(volume.CreatedAt);
  return found?.isDirectory() === true && Math.abs(found.birthtimeMs - createdMs) < 2000;
}
