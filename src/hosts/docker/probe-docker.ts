import { errnoOf, isAppError } from '../../model/errors.ts';
import type { Host } from '../host.ts';
import { dockerHostOf, type DockerHostOptions, openDockerHost } from './docker-host.ts';
import { type DockerEndpoint, findDockerEndpoint } from './endpoint.ts';
import { EngineClient } from './engine-client.ts';

const probeMs = 2000;
/** A login over ssh takes its time. */
const sshProbeMs = 15_000;

export interface ProbeOptions extends DockerHostOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * The host when an engine answers, within two seconds; undefined when none runs at the usual place.
 *
 * An engine that the user chose (DOCKER_HOST, a context) and that does not answer is an error, and so is one that is
 * there and refuses or hangs: to work on something else instead would surprise.
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
    if (isNobodyThere(endpoint, error)) return undefined;
    throw error;
  }
}

/**
 * The engine at Docker's place, as Docker or as the Podman that stands in for it there. One that does not answer is opened
 * as Docker all the same: what is asked of it then says why.
 */
export async function openAtDockersPlace(options: ProbeOptions = {}): Promise<Host> {
  const endpoint = options.endpoint ?? (await findDockerEndpoint(options.env ?? process.env));
  const found = await probeDocker({ ...options, endpoint }).catch((error: unknown) => {
    if (isAppError(error) && error.code !== 'cancelled') return undefined;
    throw error;
  });
  return found ?? (await openDockerHost({ ...options, endpoint }));
}

function isNobodyThere(endpoint: DockerEndpoint, error: unknown): boolean {
  if (endpoint.explicit || !(error instanceof Error)) return false;
  return ['ENOENT', 'ENOTDIR', 'ECONNREFUSED'].includes(errnoOf(error.cause) ?? '');
}
