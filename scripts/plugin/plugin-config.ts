import type { Extra } from './plugin-programs.ts';

/** The host's state folder inside the plugin, and where the engine sees it with all mounts in it. */
export const places = {
  host: '/var/lib/holdfast',
  published: '/published',
  state: '/published/state',
  node: '/usr/bin/node',
  package: '/opt/holdfast',
} as const;

/** The engine's `config.json`: "Plugin Config Version 1". */
export function pluginConfig({
  version,
  extras,
}: {
  readonly version: string;
  readonly extras: readonly Extra[];
}): object {
  return {
    description: `Holdfast ${version}: volumes with sizes that hold, a trash and a health`,
    documentation: '',
    interface: { types: ['docker.volumedriver/1.0'], socket: 'holdfast.sock' },
    entrypoint: [
      places.node,
      // As in bin/holdfast.
      '--max-semi-space-size=1',
      '--',
      `${places.package}/dist/main.js`,
      ...['plugin', '--state-dir', places.state, '--state-from', places.host],
    ],
    workdir: '/',
    // For NFS and CIFS servers.
    network: { type: 'host' },
    // The processes of the engine and of its containers show who holds a volume.
    pidhost: true,
    // cryptsetup and udev synchronize by a semaphore.
    ipchost: extras.includes('luks'),
    propagatedMount: places.published,
    mounts: [
      {
        name: 'state',
        description: 'The state folder on the host: the volumes are in it, and stay when the plugin goes',
        source: places.host,
        destination: places.host,
        type: 'bind',
        options: ['rbind', 'rw', 'rshared'],
        settable: ['source'],
      },
      {
        name: 'dev',
        description: 'For loop devices and disks',
        source: '/dev',
        destination: '/dev',
        type: 'bind',
        options: ['rbind', 'rw'],
        settable: [],
      },
    ],
    linux: {
      capabilities: [
        ...['CAP_SYS_ADMIN', 'CAP_SYS_PTRACE', 'CAP_DAC_READ_SEARCH', 'CAP_LINUX_IMMUTABLE'],
        ...(extras.includes('luks') ? ['CAP_IPC_LOCK'] : []),
      ],
      allowAllDevices: true,
      devices: [],
    },
    env: [],
    args: { name: '', description: '', settable: [], value: [] },
  };
}
