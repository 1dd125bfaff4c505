import { stat } from 'node:fs/promises';
import { AppError, errnoOf, isAppError } from '../../model/errors.ts';
import type { HostKind } from '../../model/volume.ts';
import type { Host } from '../host.ts';
import { dockerHostOf, type DockerHostOptions, openDockerHost } from './docker-host.ts';
import { type DockerEndpoint, type Environment, findDockerEndpoint, parseDockerHost } from './endpoint.ts';
import { EngineClient } from './engine-client.ts';

/** One kind of engine at the place where it is expected. */
export interface EngineProbe {
  readonly kind: 'docker' | 'podman';
  /** `explicit` when the user chose the place, so that no response is an error. */
  place(): Promise<{ readonly address: string; readonly explicit: boolean }>;
  /** Undefined when none runs at the default place. */
  probe(): Promise<Host | undefined>;
  /** The engine although it does not respond: calls throw `unavailable` with this hint until it does. */
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

/** Where an engine of this kind is expected. Connects to none. */
export async function enginePlace(
  env: Environment,
  kind: EngineProbe['kind'],
): Promise<Pick<DockerEndpoint, 'address' | 'explicit'>> {
  return kind === 'docker' ? await findDockerEndpoint(env) : podmanEndpoint(env);
}

/** Where other engines of this machine than the host are expected. */
export async function engineEndpoints(env: Environment, host: HostKind): Promise<DockerEndpoint[]> {
  const podman = podmanEndpoint(env);
  // An invalid DOCKER_HOST must not hide the others.
  const docker = await findDockerEndpoint(env).catch(() => undefined);
  const others = [host === 'docker' ? undefined : docker, host === 'podman' ? undefined : podman];
  // Paths elsewhere are not of this machine.
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

/** Opens Podman as a host, by its Docker-compatible API. Does not connect yet. */
export async function openPodmanHost(options: DockerHostOptions = {}): Promise<Host> {
  const endpoint = options.endpoint ?? (await findPodmanEndpoint(options.env ?? process.env));
  return await openDockerHost({ ...options, endpoint, kind: 'podman' });
}

/** CONTAINER_HOST as in the Podman CLI, otherwise root's socket or the user's. */
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

/** The default place, or the one in CONTAINER_HOST. */
function podmanEndpoint(env: Environment): DockerEndpoint {
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

const probeMs = 2000;
/** A login over ssh takes its time. */
const sshProbeMs = 15_000;

export interface ProbeOptions extends DockerHostOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * The host when an engine responds, within two seconds; undefined when none runs at the default place.
 *
 * An engine that the user chose (DOCKER_HOST, a context) and that does not respond is an error, and so is one
 * that exists and refuses or hangs: silently using another would surprise the user.
 */
export async function probeDocker(options: ProbeOptions = {}): Promise<Host | undefined> {
  const endpoint = options.endpoint ?? (await findDockerEndpoint(options.env ?? process.env));
  const deadlineMs = endpoint.kind === 'ssh' ? sshProbeMs : probeMs;
  await using opened = new AsyncDisposableStack();
  const client = opened.use(new EngineClient(endpoint, { connectTimeoutMs: options.connectTimeoutMs }));
  try {
    const { isPodman } = await client.ping({ signal: options.signal, deadlineMs });
    opened.move();
    return dockerHostOf(client, { ...options, kind: isPodman ? 'podman' : options.kind });
  } catch (error) {
    if (isNothingThere(endpoint, error)) return undefined;
    throw error;
  }
}

/**
 * The engine at Docker's place, Docker or a Podman in its place. One that does not respond is opened as
 * Docker: calls then say why.
 */
export async function openAtDockersPlace(options: ProbeOptions = {}): Promise<Host> {
  const endpoint = options.endpoint ?? (await findDockerEndpoint(options.env ?? process.env));
  const found = await probeDocker({ ...options, endpoint }).catch((error: unknown) => {
    if (isAppError(error) && error.code !== 'cancelled') return undefined;
    throw error;
  });
  return found ?? (await openDockerHost({ ...options, endpoint }));
}

function isNothingThere(endpoint: DockerEndpoint, error: unknown): boolean {
  if (endpoint.explicit || !(error instanceof Error)) return false;
  return ['ENOENT', 'ENOTDIR', 'ECONNREFUSED'].includes(errnoOf(error.cause) ?? '');
}
