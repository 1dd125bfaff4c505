import os from 'node:os';
import { fromText } from '../../model/byte-string.ts';
import { version } from '../../lib/version.ts';
import { ApiError } from './api-error.ts';
import { referencesOf } from './api-filters.ts';
import type { ApiCall, ApiParts } from './api-parts.ts';
import { isOlder, newestVersion, oldestVersion } from './api-version.ts';
import { type ApiVolume, toApiVolume } from './api-volume.ts';
import { sendJson, sendText } from './send.ts';

export async function ping(_parts: ApiParts, { request, response }: ApiCall): Promise<void> {
  response.setHeader('Builder-Version', '');
  response.setHeader('Cache-Control', 'no-cache, no-store, must-revalidate');
  response.setHeader('Pragma', 'no-cache');
  response.setHeader('Swarm', 'inactive');
  if (request.method === 'HEAD')
    return sendText(response, 200, { type: 'text/plain; charset=utf-8', text: '' });
  sendText(response, 200, { type: 'text/plain; charset=utf-8', text: 'OK' });
}

export async function showVersion(_parts: ApiParts, { response }: ApiCall): Promise<void> {
  const kernel = os.release();
  const arch = goArchitecture();
  const details = {
    ApiVersion: newestVersion,
    Arch: arch,
    KernelVersion: kernel,
    MinAPIVersion: oldestVersion,
    Os: 'linux',
  };
  sendJson(response, 200, {
    Platform: { Name: 'Holdfast' },
    Components: [{ Name: 'Holdfast', Version: version, Details: details }],
    Version: version,
    ApiVersion: newestVersion,
    MinAPIVersion: oldestVersion,
    GitCommit: '',
    GoVersion: '',
    Os: 'linux',
    Arch: arch,
    KernelVersion: kernel,
    BuildTime: '',
  });
}

export async function showInfo({ identity }: ApiParts, { response }: ApiCall): Promise<void> {
  sendJson(response, 200, {
    ID: identity,
    Name: os.hostname(),
    ServerVersion: version,
    OSType: 'linux',
    OperatingSystem: 'Holdfast (volumes only)',
    Architecture: os.machine(),
    KernelVersion: os.release(),
    NCPU: os.availableParallelism(),
    MemTotal: os.totalmem(),
    Containers: 0,
    ContainersRunning: 0,
    ContainersPaused: 0,
    ContainersStopped: 0,
    Images: 0,
    Driver: 'none',
    Plugins: { Volume: ['local'], Network: null, Authorization: null, Log: null },
    Swarm: { LocalNodeState: 'inactive' },
    Warnings: null,
  });
}

/** No containers run here: what asks for them gets an empty list. */
export async function listNothing(_parts: ApiParts, { response }: ApiCall): Promise<void> {
  sendJson(response, 200, []);
}

const objectTypes: readonly string[] = ['container', 'image', 'volume', 'build-cache'];

/** As the engine counts: volumes of the driver `local` without options. */
export async function showDiskUsage(
  { volumes, sizes }: ApiParts,
  { query, response, version: asked, signal }: ApiCall,
): Promise<void> {
  // Versions before 1.42 know no types, and show everything.
  const types = isOlder(asked, '1.42') ? [] : query.getAll('type');
  const unknown = types.find((type) => !objectTypes.includes(type));
  if (unknown !== undefined) throw new ApiError(400, `unknown object type: ${unknown}`);
  const wants = (type: string): boolean => types.length === 0 || types.includes(type);
  const counted = wants('volume')
    ? (await volumes.list()).filter(
        ({ driver, options }) => driver === 'local' && Object.keys(options).length === 0,
      )
    : undefined;
  const paths = (counted ?? []).map(({ mountpoint }) => fromText(mountpoint));
  const measured = await sizes.measure(paths, signal);
  const shown = counted?.map((volume, index): ApiVolume => {
    // As the engine does: a size that cannot be had is said to be none, and keeps nothing from being listed.
    const usage = { RefCount: referencesOf(volume).length, Size: measured[index] ?? -1 };
    return { ...toApiVolume(volume), UsageData: usage };
  });
  sendJson(response, 200, {
    LayersSize: 0,
    Images: wants('image') ? [] : null,
    Containers: wants('container') ? [] : null,
    Volumes: shown ?? null,
    BuildCache: wants('build-cache') ? [] : null,
  });
}

function goArchitecture(): string {
  const machine = os.machine();
  return { x86_64: 'amd64', aarch64: 'arm64' }[machine] ?? machine;
}
