import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { loadProject } from '../../compose/index.ts';
import type { Container, Containers, Image } from '../../hosts/containers.ts';
import type { Host } from '../../hosts/host.ts';
import { AppError } from '../../model/errors.ts';
import type { Volume } from '../../model/volume.ts';
import type { CoveredPlace } from '../../policies/index.ts';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import { someVolume } from '../../../test/fixtures/some-volume.ts';
import { audit } from './audit.ts';
import type { AuditReport } from './audit-report.ts';
import type { AuditRequest, AuditSources } from './audit-request.ts';

/** A machine to be audited: files in a folder of its own, and a host that may not be there. */
export interface AuditedWorld extends AsyncDisposable {
  readonly folder: string;
  write(name: string, content: string): Promise<void>;
  run(request?: Partial<AuditRequest>): Promise<AuditReport>;
}

export interface WorldRequest {
  readonly files?: Readonly<Record<string, string>>;
  readonly containers?: readonly (Partial<Container> & { readonly name: string })[];
  readonly volumes?: readonly (Partial<Volume> & { readonly name: string })[];
  readonly images?: Readonly<Record<string, Partial<Image>>>;
  readonly places?: readonly Partial<CoveredPlace>[];
  /** False for a machine without an engine. */
  readonly hasEngine?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly now?: number;
}

export async function auditedWorld(request: WorldRequest = {}): Promise<AuditedWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'audited-'));
  const write = async (name: string, content: string): Promise<void> => {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  };
  for (const [name, content] of Object.entries(request.files ?? {})) await write(name, content);
  const sources = sourcesOf(request);
  return {
    folder,
    write,
    run: (wanted = {}) => audit(sources, { target: '.', directory: folder, ...wanted }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

function sourcesOf({ hasEngine = true, places = [], env = {}, now, ...rest }: WorldRequest): AuditSources {
  return {
    host: async () => {
      if (!hasEngine) throw new AppError('unavailable', 'No engine answers');
      return hostOf(rest);
    },
    loadProject,
    coverage: async () => ({ places: places.map(placeOf), repositories: [], unreachable: [] }),
    repositories: async () => [],
    env,
    now: () => now ?? Date.now(),
  };
}

function hostOf({ containers = [], volumes = [], images = {} }: WorldRequest): Host {
  const engine = memoryContainers();
  for (const container of containers) engine.add(container);
  const all = volumes.map((volume) => someVolume(volume.name, volume));
  const host: Partial<Host> = {
    kind: 'docker',
    containers: {
      list: () => engine.list(),
      findImage: async (name: string) => (images[name] === undefined ? undefined : imageOf(images[name])),
    } as Partial<Containers> as Containers,
    // Data is looked into with a real engine only.
    info: async () => ({
      kind: 'docker',
      identity: 'engine',
      name: 'here',
      version: '28',
      endpoint: 'unix:///none',
      isRemote: false,
    }),
    listVolumes: async () => all,
    openData: async () => {
      throw new AppError('not-found', 'It is gone');
    },
  };
  return host as Host;
}

function imageOf(image: Partial<Image>): Image {
  return { id: 'sha256:1', user: '', volumes: [], environment: {}, ...image };
}

function placeOf(place: Partial<CoveredPlace>): CoveredPlace {
  return {
    kind: 'volume',
    name: 'pg',
    stack: undefined,
    consumers: [],
    state: 'unprotected',
    reason: 'no policy is about it',
    policies: [],
    newest: undefined,
    ...place,
  };
}
