import type { EngineProbe } from '../hosts/docker/index.ts';
import type { Host } from '../hosts/host.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { readRememberedHost, type RememberedHost, rememberHost } from './remembered-host.ts';

export interface HostChoice {
  readonly stateDir: string;
  readonly probes: Readonly<Record<'docker' | 'podman', EngineProbe>>;
  /** Whether there are managed volumes. */
  readonly hasOwnVolumes: () => Promise<boolean>;
}

/**
 * The engine that `auto` means: one that answers, Docker before Podman; undefined for managed volumes. An
 * engine that had the volumes and does not answer is returned all the same, and fails as if it had been
 * named: without it there would be no volumes, and an empty backup would look like a good one.
 * Throws `conflict` for an engine that appears where Holdfast kept the volumes: either choice would leave out
 * the other's.
 */
export async function chooseHost({ stateDir, probes, hasOwnVolumes }: HostChoice): Promise<Host | undefined> {
  const known = await readRememberedHost(stateDir);
  const found = await findEngine(probes, known);
  if (found === undefined) {
    if (known !== undefined && known.kind !== 'embedded') return await openAbsent(probes[known.kind], known);
    if (known === undefined && (await hasOwnVolumes()))
      await rememberHost(stateDir, { kind: 'embedded', endpoint: '' });
    return undefined;
  }
  const { host, kind, address, explicit } = found;
  if (explicit && known !== undefined) return host;
  // An earlier version may have taken this Podman for Docker all along.
  const wasPodman = known?.isKindSaid === false && known.endpoint === address;
  if (known?.kind === 'docker' && kind === 'podman' && !wasPodman) {
    await host[Symbol.asyncDispose]();
    throw inDockersPlace(address);
  }
  if (known?.kind === 'embedded' && (await hasOwnVolumes())) {
    await host[Symbol.asyncDispose]();
    throw whichOne(kind, address);
  }
  if (known?.kind !== kind || known.endpoint !== address || !known.isKindSaid)
    await rememberHost(stateDir, { kind, endpoint: address });
  return host;
}

interface FoundEngine {
  readonly host: Host;
  readonly kind: 'docker' | 'podman';
  readonly address: string;
  readonly explicit: boolean;
}

/**
 * Where one kind of engine had the volumes, the other is skipped unless DOCKER_HOST or a context names it.
 * The answer says which kind it is: Podman can stand at Docker's address.
 */
async function findEngine(
  probes: HostChoice['probes'],
  known: RememberedHost | undefined,
): Promise<FoundEngine | undefined> {
  for (const probe of [probes.docker, probes.podman]) {
    const { address, explicit } = await probe.place();
    const isOther = known !== undefined && known.kind !== 'embedded' && known.kind !== probe.kind;
    const isNamed = explicit && probe.kind === 'docker';
    if (isOther && known.endpoint !== address && !isNamed) continue;
    const host = await probe.probe();
    if (host === undefined) continue;
    const kind = host.kind === 'podman' ? 'podman' : probe.kind;
    if (!isOther || isNamed || kind === known.kind) return { host, kind, address, explicit };
    await host[Symbol.asyncDispose]();
  }
  return undefined;
}

async function openAbsent(probe: EngineProbe, { kind, endpoint }: RememberedHost): Promise<Host> {
  const { address } = await probe.place();
  const where = address === endpoint ? '' : ` at ${quote(endpoint)}`;
  const variable = kind === 'docker' ? 'DOCKER_HOST' : 'CONTAINER_HOST';
  const again = where === '' ? 'Start it' : `Start it, or set ${variable} to where it is`;
  return await probe.openAbsent(
    `This engine${where} had the volumes. ${again}. If it is gone for good, say so in holdfast.yaml, or with --host: "embedded" means the volumes that Holdfast keeps itself.`,
  );
}

function inDockersPlace(address: string): AppError {
  return new AppError('conflict', `Podman answers at ${quote(address)}, where Docker had the volumes`, {
    hint: 'Start Docker, or say that Podman has them now: "host: podman" in holdfast.yaml, or --host podman.',
  });
}

function whichOne(kind: string, address: string): AppError {
  return new AppError(
    'conflict',
    `There are volumes that Holdfast keeps itself, and ${kind === 'docker' ? 'Docker' : 'Podman'} answers at ${quote(address)} now`,
    {
      hint: `Say which volumes are meant: "host: embedded" or "host: ${kind}" in holdfast.yaml, or --host.`,
    },
  );
}
