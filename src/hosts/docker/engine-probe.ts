import type { Host } from '../host.ts';
import { type DockerHostOptions, openDockerHost } from './docker-host.ts';
import type { HostKind } from '../../model/volume.ts';
import { type DockerEndpoint, type Environment, findDockerEndpoint } from './endpoint.ts';
import { podmanEndpoint } from './podman.ts';
import { probeDocker } from './probe-docker.ts';

/** One kind of engine at the place where it is looked for. */
export interface EngineProbe {
  readonly kind: 'docker' | 'podman';
  /** `explicit` when the user chose the place: that nothing answers there is an error. */
  place(): Promise<{ readonly address: string; readonly explicit: boolean }>;
  /** Undefined when none runs at the usual place. */
  probe(): Promise<Host | undefined>;
  /** The engine though it does not answer: what is asked of it throws `unavailable` with this hint until it does. */
  openAbsent(hint: string): Promise<Host>;
}

/** The engines that `auto` looks for. */
export function engineProbes(options: DockerHostOptions): Record<'docker' | 'podman', EngineProbe> {
  const env = options.env ?? process.env;
  return {
    docker: engineProbe('docker', options, async () => options.endpoint ?? (await findDockerEndpoint(env))),
    podman: engineProbe('podman', options, async () => podmanEndpoint(env)),
  };
}

/** Where engines of this machine other than the host are looked for. */
export async function engineEndpoints(env: Environment, host: HostKind): Promise<DockerEndpoint[]> {
  const podman = podmanEndpoint(env);
  // An address in DOCKER_HOST that cannot be read is no reason to show nothing.
  const docker = await findDockerEndpoint(env).catch(() => undefined);
  const others = [host === 'docker' ? undefined : docker, host === 'podman' ? undefined : podman];
  // At another place are other paths.
  return others.filter((endpoint) => endpoint?.kind === 'unix');
}

function engineProbe(
  kind: 'docker' | 'podman',
  options: DockerHostOptions,
  place: () => Promise<DockerEndpoint>,
): EngineProbe {
  return {
    kind,
    place,
    probe: async () => await probeDocker({ ...options, kind, endpoint: await place() }),
    openAbsent: async (absenceHint) =>
      await openDockerHost({ ...options, kind, endpoint: { ...(await place()), absenceHint } }),
  };
}
