import { setTimeout as sleep } from 'node:timers/promises';
import type { Container, Containers } from '../../src/hosts/containers.ts';
import { openDockerHost } from '../../src/hosts/docker/docker-host.ts';
import type { Host } from '../../src/hosts/host.ts';
import { readDiskEvidence } from '../../src/quiesce/presets/disk-evidence.ts';
import { findPreset } from '../../src/quiesce/presets/find-presets.ts';
import type { Preset, PresetServer } from '../../src/quiesce/presets/preset.ts';
import { importImages } from '../docker/images.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';

export interface Databases extends AsyncDisposable {
  readonly engine: PrivateEngine;
  readonly host: Host;
  readonly containers: Containers;
  /**
   * Starts a container of an image, with a volume of its name where the image keeps its data, and waits until
   * it is healthy.
   */
  start(request: DatabaseRequest): Promise<Container>;
  killInside(name: string, pattern: RegExp): Promise<void>;
  /** Returns the preset that recognises the volume of that name, and its server. */
  recognise(
    name: string,
    signal?: AbortSignal,
  ): Promise<{ readonly preset: Preset; readonly server: PresetServer }>;
}

export interface DatabaseRequest {
  readonly name: string;
  readonly image: string;
  readonly path: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly command?: readonly string[];
}

/** Kills the matching processes in a container, as an out-of-memory killer does. */
async function killInside(engine: PrivateEngine, name: string, pattern: RegExp): Promise<void> {
  const lines = (await engine.docker(['top', name, '-eo', 'pid,args'])).split('\n').slice(1);
  const found = lines
    .map((line) => /^\s*(\d+)\s+(.*)$/.exec(line) ?? [])
    .filter(([, , command]) => command !== undefined && pattern.test(command));
  if (found.length === 0) throw new Error(`Nothing runs like ${pattern}:\n${lines.join('\n')}`);
  for (const [, pid] of found) process.kill(Number(pid), 'SIGKILL');
}

/** A password full of special characters. */
export const awkwardPassword = `p'w "d" $HOME \`id\` \\ %s é€ ; -- #`;

export async function startDatabases(): Promise<Databases> {
  const engine = await startPrivateEngine();
  try {
    await importImages(engine);
    const host = await openDockerHost({ env: { DOCKER_HOST: engine.dockerHost } });
    const { containers } = host;
    if (containers === undefined) throw new Error('This host has no containers');
    return {
      engine,
      host,
      containers,
      start: (request) => start(engine, containers, request),
      killInside: (name, pattern) => killInside(engine, name, pattern),
      recognise: (name, signal) => recognise({ host, containers }, name, signal),
      async [Symbol.asyncDispose]() {
        await host[Symbol.asyncDispose]();
        await engine[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

async function start(
  engine: PrivateEngine,
  containers: Containers,
  request: DatabaseRequest,
): Promise<Container> {
  const { name, image, path, environment = {}, args = [], command = [] } = request;
  const variables = Object.entries(environment).flatMap(([key, value]) => ['-e', `${key}=${value}`]);
  await engine.docker([
    'run',
    '-d',
    '--name',
    name,
    '-v',
    `${name}:${path}`,
    ...variables,
    ...args,
    image,
    ...command,
  ]);
  for (let tries = 0; tries < 1800; tries++) {
    const container = await containers.find(name);
    if (container?.health === 'healthy') return container;
    if (container?.state !== 'running') throw new Error(await engine.docker(['logs', name]));
    await sleep(100);
  }
  throw new Error(`${name} did not become healthy`);
}

async function recognise(
  { host, containers }: Pick<Databases, 'host' | 'containers'>,
  name: string,
  signal?: AbortSignal,
): Promise<{ preset: Preset; server: PresetServer }> {
  const container = await containers.find(name);
  const mountPath = container?.mounts.find(({ source }) => source === name)?.destination;
  if (container === undefined || mountPath === undefined) throw new Error(`There is no ${name}`);
  await using data = await host.openData(name);
  const found = findPreset({ container, mountPath, disk: await readDiskEvidence(data) });
  if (found === undefined) throw new Error(`${name} is not recognised`);
  const { preset, recognition } = found;
  return { preset, server: { containers, container, mountPath, recognition, signal } };
}
