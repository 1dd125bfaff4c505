import { writeTar } from '../../lib/tar/write-tar.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { type Container, trialLabel, type TrialRequest } from '../containers.ts';
import { archiveUrl, sendArchive } from './archive-requests.ts';
import { inspectContainer, shortName, toContainer } from './containers-read.ts';
import { startContainer } from './containers-state.ts';
import type { EngineClient } from './engine-client.ts';
import { imagePath } from './images.ts';
import type { ImageLabels } from './image-labels.ts';

/** Creates and starts a container without any outside connection. Nothing remains if this fails. */
export async function startTrial(
  client: EngineClient,
  images: ImageLabels,
  { request, signal }: { readonly request: TrialRequest; readonly signal: AbortSignal | undefined },
): Promise<Container> {
  const labels = { [trialLabel]: 'true', ...request.labels };
  await checkImage(client, request, signal);
  const network = request.network?.name;
  if (network !== undefined) await makeTrialNetwork(client, { name: network, labels }, signal);
  try {
    const id = await createTrial(client, { ...request, labels }, signal);
    if (request.files !== undefined && request.files.length > 0)
      await putFiles(client, { id, request, signal });
    await startContainer(client, id, { signal });
    const inspection = await inspectContainer(client, id, signal);
    if (inspection !== undefined) return toContainer(inspection, await images.of(inspection, signal));
    throw new AppError('failed', `The trial "${request.name}" was removed while it started`);
  } catch (error) {
    // If the name is taken, it is another's container.
    if (!isAppError(error, 'conflict')) await removeOwn(client, request.name);
    if (network !== undefined) await removeTrialNetwork(client, network).catch(() => undefined);
    throw error;
  }
}

/**
 * The engine may have created it without our getting the response. A container of that name that is not a
 * trial is not ours.
 */
async function removeOwn(client: EngineClient, name: string): Promise<void> {
  const found = await inspectContainer(client, name).catch(() => undefined);
  if (found?.Config?.Labels?.[trialLabel] === undefined) return;
  // The user must see the original error.
  await removeContainer(client, found.Id, undefined).catch(() => undefined);
}

async function checkImage(
  client: EngineClient,
  { name, image }: TrialRequest,
  signal: AbortSignal | undefined,
): Promise<void> {
  const action = `Cannot start the trial "${name}"`;
  try {
    await client.json({ method: 'GET', path: imagePath(image), action, signal });
  } catch (error) {
    if (!isAppError(error, 'not-found')) throw error;
    throw new AppError('not-found', `${action}: the engine does not have the image "${image}"`, {
      hint: `Nothing is pulled for a trial. Get it with "docker pull ${image}".`,
      cause: error,
    });
  }
}

async function createTrial(
  client: EngineClient,
  request: TrialRequest,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { name, network } = request;
  const created = await client.json<{ readonly Id: string }>({
    method: 'POST',
    path: `/containers/create?name=${encodeURIComponent(name)}`,
    action: `Cannot start the trial "${name}"`,
    json: {
      Image: request.image,
      ...(request.command === undefined ? {} : { Cmd: request.command }),
      ...(request.entrypoint === undefined ? {} : { Entrypoint: request.entrypoint }),
      ...(request.user === undefined ? {} : { User: request.user }),
      Env: Object.entries(request.environment).map(([key, value]) => `${key}=${value}`),
      Labels: request.labels,
      HostConfig: {
        NetworkMode: network?.name ?? 'none',
        RestartPolicy: { Name: 'no' },
        PublishAllPorts: false,
        Mounts: Object.entries(request.volumes).map(([target, source]) => ({
          Type: 'volume',
          Source: source,
          Target: target,
          // The volume holds only what was restored: nothing of the image is copied in.
          VolumeOptions: { NoCopy: true },
        })),
      },
      ...(network === undefined
        ? {}
        : { NetworkingConfig: { EndpointsConfig: { [network.name]: { Aliases: [network.alias] } } } }),
    },
    signal,
  });
  return created.Id;
}

interface FilesToPut {
  readonly id: string;
  readonly request: TrialRequest;
  readonly signal: AbortSignal | undefined;
}

/** An engine that accepts nothing for this long is given up. */
const idleMs = 60_000;

/** Sent as an archive through the engine, which may be on another machine. */
async function putFiles(client: EngineClient, { id, request, signal }: FilesToPut): Promise<void> {
  const sources = (request.files ?? []).map(({ entry, content }) => ({
    entry,
    open: () => bytesOf(content),
  }));
  const call = {
    method: 'PUT',
    path: archiveUrl(id, '/'),
    action: `Cannot put files into the trial "${request.name}"`,
    signal,
  } as const;
  await sendArchive({ client, idleMs }, call, writeTar(sources, { signal }));
}

async function* bytesOf(content: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield content;
}

/**
 * Removes a container by force with its anonymous volumes, and a trial's network when no container uses it
 * any more.
 */
export async function removeContainer(
  client: EngineClient,
  id: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const inspection = await inspectContainer(client, id, signal);
  if (inspection === undefined) return;
  try {
    await client.json({
      method: 'DELETE',
      path: `/containers/${inspection.Id}?force=1&v=1`,
      action: `Cannot remove container "${shortName(id)}"`,
      signal,
    });
  } catch (error) {
    const isGone =
      isAppError(error, 'not-found') || (await inspectContainer(client, id, signal)) === undefined;
    if (!isGone) throw error;
  }
  if (inspection.Config?.Labels?.[trialLabel] === undefined) return;
  const networks = Object.keys(inspection.NetworkSettings?.Networks ?? {});
  for (const network of networks) await removeTrialNetwork(client, network, signal);
}

/** Removes all containers of a trial, and then its networks. */
export async function removeTrial(
  client: EngineClient,
  trial: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`${trialLabel}=${trial}`] }));
  const action = 'Cannot list what is left of a trial';
  const list = async <T>(path: string): Promise<readonly T[]> =>
    await client.json<readonly T[]>({ method: 'GET', path: `${path}filters=${filters}`, action, signal });
  for (const { Id } of await list<{ readonly Id: string }>('/containers/json?all=1&'))
    await removeContainer(client, Id, signal);
  for (const { Name } of await list<{ readonly Name: string }>('/networks?'))
    await removeTrialNetwork(client, Name, signal);
}

interface EngineNetwork {
  readonly Id: string;
  readonly Internal?: boolean | null;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly Containers?: Readonly<Record<string, unknown>> | null;
}

interface TrialNetwork {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Creates the network of a stack's trials. An existing one of that name that is not an isolated trial network
 * is refused.
 */
async function makeTrialNetwork(
  client: EngineClient,
  { name, labels }: TrialNetwork,
  signal: AbortSignal | undefined,
): Promise<void> {
  if ((await findNetwork(client, name, signal)) === undefined) {
    try {
      await client.json({
        method: 'POST',
        path: '/networks/create',
        action: `Cannot make the network "${name}"`,
        json: { Name: name, Driver: 'bridge', Internal: true, Labels: labels, CheckDuplicate: true },
        signal,
      });
    } catch (error) {
      // Another trial of the stack was faster.
      if (!isAppError(error, 'conflict')) throw error;
    }
  }
  const made = await findNetwork(client, name, signal);
  if (made?.Internal === true && made.Labels?.[trialLabel] !== undefined) return;
  throw new AppError('conflict', `Cannot use the network "${name}" for a trial: it is not an isolated one`, {
    hint: 'Choose another name, or remove that network.',
  });
}

/** Removes a trial network that no container uses any more, running or not. */
async function removeTrialNetwork(client: EngineClient, name: string, signal?: AbortSignal): Promise<void> {
  const network = await findNetwork(client, name, signal);
  if (network?.Labels?.[trialLabel] === undefined) return;
  const filters = encodeURIComponent(JSON.stringify({ network: [network.Id] }));
  const users = await client.json<readonly unknown[]>({
    method: 'GET',
    path: `/containers/json?all=1&filters=${filters}`,
    action: 'Cannot list containers',
    signal,
  });
  if (users.length > 0) return;
  try {
    await client.json({
      method: 'DELETE',
      path: `/networks/${network.Id}`,
      action: `Cannot remove the network "${name}"`,
      signal,
    });
  } catch (error) {
    // 403 is "has active endpoints": another process joined in the meantime, and removes it when leaving.
    if (!isAppError(error, 'not-found') && !isAppError(error, 'denied')) throw error;
  }
}

async function findNetwork(
  client: EngineClient,
  name: string,
  signal: AbortSignal | undefined,
): Promise<EngineNetwork | undefined> {
  try {
    return await client.json<EngineNetwork>({
      method: 'GET',
      path: `/networks/${encodeURIComponent(name)}`,
      action: `Cannot inspect the network "${name}"`,
      signal,
    });
  } catch (error) {
    if (isAppError(error, 'not-found')) return undefined;
    throw error;
  }
}
