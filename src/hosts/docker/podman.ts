import { stat } from 'node:fs/promises';
import { AppError } from '../../model/errors.ts';
import type { Host } from '../host.ts';
import { type DockerHostOptions, openDockerHost } from './docker-host.ts';
import { type DockerEndpoint, type Environment, parseDockerHost } from './endpoint.ts';

/** Opens Podman as a host, by the API that it has for Docker's clients. Connects to nothing yet. */
export async function openPodmanHost(options: DockerHostOptions = {}): Promise<Host> {
  const endpoint = options.endpoint ?? (await findPodmanEndpoint(options.env ?? process.env));
  return await openDockerHost({ ...options, endpoint, kind: 'podman' });
}

/** CONTAINER_HOST as Podman's own command has it, else root's socket or the user's. */
async function findPodmanEndpoint(env: Environment): Promise<DockerEndpoint> {
  const endpoint = podmanEndpoint(env);
  if (endpoint.kind !== 'unix' || (await isThere(endpoint.socketPath))) return endpoint;
  const isRoot = process.geteuid?.() === 0;
  throw new AppError('unavailable', `Cannot reach Podman: there is no socket at "${endpoint.socketPath}"`, {
    hint: isRoot
      ? 'Start its service: systemctl enable --now podman.socket'
      : 'Start its service: systemctl --user enable --now podman.socket',
  });
}

/** Its usual place, or the one that CONTAINER_HOST names. */
export function podmanEndpoint(env: Environment): DockerEndpoint {
  const chosen = env['CONTAINER_HOST'];
  if (chosen) return parseDockerHost(chosen);
  const uid = process.geteuid?.() ?? 0;
  const folder = uid === 0 ? '/run' : env['XDG_RUNTIME_DIR'] || `/run/user/${uid}`;
  const socketPath = `${folder}/podman/podman.sock`;
  return { kind: 'unix', socketPath, address: `unix://${socketPath}`, explicit: false };
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isSocket() === true;
}
