import os from 'node:os';
import { version } from '../../lib/version.ts';
import type { ApiCall, ApiParts } from './api-parts.ts';
import { isOlder, newestVersion, oldestVersion } from './api-version.ts';
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

/** Every field that an engine always has; what does not exist here gets the engine's value for absent. */
export async function showInfo({ identity }: ApiParts, { response, version: asked }: ApiCall): Promise<void> {
  sendJson(response, 200, {
    ID: identity,
    ...nothingRuns,
    Plugins: { Volume: ['local'], Network: null, Authorization: null, Log: null },
    ...noLimits,
    // Fields that newer versions removed.
    ...(isOlder(asked, '1.50') && { BridgeNfIptables: false, BridgeNfIp6tables: false }),
    Debug: false,
    NFd: -1,
    NGoroutines: 0,
    SystemTime: new Date().toISOString(),
    LoggingDriver: '',
    CgroupDriver: 'none',
    NEventsListener: 0,
    KernelVersion: os.release(),
    OperatingSystem: 'Holdfast (volumes only)',
    OSVersion: '',
    OSType: 'linux',
    Architecture: os.machine(),
    IndexServerAddress: '',
    RegistryConfig: null,
    NCPU: os.availableParallelism(),
    MemTotal: os.totalmem(),
    GenericResources: null,
    DockerRootDir: '',
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: os.hostname(),
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: version,
    Runtimes: {},
    DefaultRuntime: '',
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: false,
    Isolation: '',
    InitBinary: '',
    ...commits(asked),
    SecurityOptions: [],
    CDISpecDirs: null,
    Warnings: null,
  });
}

const nothingRuns = {
  Containers: 0,
  ContainersRunning: 0,
  ContainersPaused: 0,
  ContainersStopped: 0,
  Images: 0,
  Driver: 'none',
  DriverStatus: null,
};

const noLimits = {
  MemoryLimit: false,
  SwapLimit: false,
  CpuCfsPeriod: false,
  CpuCfsQuota: false,
  CPUShares: false,
  CPUSet: false,
  PidsLimit: false,
  IPv4Forwarding: false,
  OomKillDisable: false,
};

function commits(asked: string): Record<string, object> {
  const commit = { ID: '', ...(isOlder(asked, '1.49') && { Expected: '' }) };
  return { ContainerdCommit: commit, RuncCommit: commit, InitCommit: commit };
}

/** No containers run here: their lists are empty. */
export async function listNothing(_parts: ApiParts, { response }: ApiCall): Promise<void> {
  sendJson(response, 200, []);
}

function goArchitecture(): string {
  const machine = os.machine();
  return { x86_64: 'amd64', aarch64: 'arm64' }[machine] ?? machine;
}
