import { mkdtemp } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { memoryContainers, type MemoryContainers } from '../hosts/containers.fixture.ts';
import type { Host } from '../hosts/host.ts';
import type { Volume } from '../model/volume.ts';
import type { Protection } from '../activity/protection.ts';

export interface StillWorld {
  readonly containers: MemoryContainers;
  readonly parts: Protection;
  readonly stateDir: string;
  readonly volumes: Volume[];
}

/** A host with containers in memory and a state folder that is real. */
export async function stillWorld(): Promise<StillWorld> {
  const stateDir = await mkdtemp(path.join(os.tmpdir(), 'holdfast-still-'));
  const containers = memoryContainers();
  const volumes: Volume[] = [];
  const host: Host = {
    kind: 'docker',
    containers,
    info: async () => ({
      kind: 'docker',
      identity: 'engine',
      name: 'test',
      version: '0',
      endpoint: 'memory',
    }),
    listVolumes: async () => volumes,
    findVolume: async (name) => volumes.find((volume) => volume.name === name),
    createVolume: unused,
    removeVolume: unused,
    listMounts: async () => [],
    openData: unused,
    async [Symbol.asyncDispose]() {},
  };
  const parts: Protection = {
    stateDir,
    hostname: 'test',
    now: Date.now,
    catalog: unused,
    host: async () => host,
    repository: unused,
    log: unused,
    notifier: unused,
  };
  return { containers, parts, stateDir, volumes };
}

async function unused(): Promise<never> {
  throw new Error('This is not needed here');
}
