import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DockerEndpoint } from './endpoint.ts';
import type { EngineInfo, EngineVolume } from './engine-types.ts';

/** Podman makes up another id for every answer: this one stays, for a machine and the folder of its storage. */
export async function podmanIdentity(info: EngineInfo, endpoint: DockerEndpoint): Promise<string> {
  const machine =
    endpoint.kind === 'unix' ? (await readFile('/etc/machine-id', 'utf8').catch(() => '')).trim() : '';
  return `podman:${machine || (info.Name ?? '')}:${info.DockerRootDir ?? ''}`;
}

/**
 * Podman has no file by which its folder is known. That a volume's folder as we see it was made in the second in which
 * Podman says that it made it proves as much.
 */
export async function isPodmanFolderHere(volume: EngineVolume): Promise<boolean> {
  if (!volume.Mountpoint?.startsWith('/') || !volume.CreatedAt) return false;
  const found = await stat(dirname(volume.Mountpoint)).catch(() => undefined);
  const createdMs = Date.parse(volume.CreatedAt);
  return found?.isDirectory() === true && Math.abs(found.birthtimeMs - createdMs) < 2000;
}
