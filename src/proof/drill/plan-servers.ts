import type { Container } from '../../hosts/containers.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { Host } from '../../hosts/host.ts';
import type { JobOptions } from '../../activity/index.ts';
import type { DiskEvidence } from '../../quiesce/index.ts';
import type { DrillChoice } from './choose-drill.ts';
import { chooseServer, type ServerPlan } from './choose-server.ts';
import type { DrilledVolume, DrillRequest } from './drill-types.ts';

export interface RestoredVolume {
  readonly snapshot: Snapshot;
  readonly drilled: DrilledVolume;
  readonly disk: DiskEvidence;
}

/** A container that a trial starts, with the trial's volumes by mount path. */
export interface TrialServer {
  readonly plan: ServerPlan;
  readonly volumes: Readonly<Record<string, string>>;
  /** Holds beside its data what the container mounts of its host. */
  readonly snapshot: Snapshot;
}

export interface ServerPlans {
  readonly servers: readonly TrialServer[];
  readonly unasked: readonly { readonly volume: string; readonly reason: string }[];
}

export interface ServersRequest {
  readonly choice: DrillChoice;
  readonly restored: readonly RestoredVolume[];
  readonly request: DrillRequest;
}

/** The containers to start on the restored data, in order. */
export async function planServers(
  host: Host,
  query: ServersRequest,
  { signal }: JobOptions,
): Promise<ServerPlans> {
  if (host.containers === undefined) {
    if (query.request.command !== undefined)
      throw new AppError(
        'unsupported',
        'There is no container engine here in which the command could be run',
      );
    const reason = 'there is no container engine here that could start anything on it';
    return { servers: [], unasked: query.restored.map(({ drilled }) => ({ volume: drilled.name, reason })) };
  }
  return assignServers(query, await host.containers.list({ signal }));
}

/** Pure. */
export function assignServers(query: ServersRequest, containers: readonly Container[]): ServerPlans {
  const { restored, request } = query;
  const names = new Set(restored.map(({ drilled }) => drilled.name));
  const servers = new Map<string, TrialServer>();
  const unasked: { volume: string; reason: string }[] = [];
  for (const { snapshot, drilled, disk } of restored) {
    const { volume, config } = snapshot;
    if (volume?.isFile === true) {
      unasked.push({ volume: drilled.name, reason: 'a trial has volumes only, and no single files' });
      continue;
    }
    const plan = volume && chooseServer({ volume, disk, containers, restored: names, config });
    const reason = reasonAgainst(plan, request) ?? needsStack(plan, { query, containers });
    if (plan === undefined || reason !== undefined) {
      unasked.push({ volume: drilled.name, reason: reason ?? 'no container is known that has it' });
      continue;
    }
    const known = servers.get(plan.name);
    const volumes = { ...known?.volumes, [plan.mountPath]: drilled.trialVolume };
    // A container with several of the volumes is started once, on all of them.
    servers.set(plan.name, {
      plan: known?.plan.found === undefined ? plan : known.plan,
      volumes,
      snapshot: known?.plan.found === undefined ? snapshot : known.snapshot,
    });
  }
  if (request.command !== undefined && servers.size !== 1) refuseCommand(request, servers.size);
  return { servers: inOrder([...servers.values()]), unasked };
}

/** Why starting it would prove nothing. A user's command overrides that. */
function reasonAgainst(plan: ServerPlan | undefined, { command }: DrillRequest): string | undefined {
  if (plan === undefined || plan.found !== undefined || command !== undefined) return undefined;
  if (plan.lacks.length === 0) return undefined;
  return `${lackWords(plan)}, and nothing is known that could be asked of it`;
}

/** An unknown program may need the others of its stack, which the drill of one volume does not start. */
function needsStack(
  plan: ServerPlan | undefined,
  {
    query: { choice, request },
    containers,
  }: { readonly query: ServersRequest; readonly containers: readonly Container[] },
): string | undefined {
  if (plan === undefined || plan.found !== undefined || request.command !== undefined) return undefined;
  const stack = plan.live?.stack;
  if (choice.kind === 'stack' || stack === undefined) return undefined;
  if (!containers.some((other) => other.stack === stack && other.name !== plan.name)) return undefined;
  return `${quote(plan.name)} may need the rest of the stack ${quote(stack)}: drill that as a whole`;
}

/** In words: what a container needs and the snapshots do not hold. */
export function lackWords({ name, lacks }: Pick<ServerPlan, 'name' | 'lacks'>): string {
  return `${quote(name)} needs ${lacks.map((one) => (one.startsWith('/') ? quote(one) : one)).join(', ')}, which ${lacks.length === 1 ? 'is' : 'are'} not in the snapshot`;
}

function refuseCommand({ target }: DrillRequest, count: number): never {
  throw new AppError(
    'usage',
    count === 0
      ? `There is no container in which the command could be run: none is known that has ${quote(target)}`
      : `Cannot choose between ${count} containers for the command`,
    { hint: 'Drill the volume of the container in which the command is to run.' },
  );
}

/** Dependencies first. */
function inOrder(servers: readonly TrialServer[]): TrialServer[] {
  const byAlias = new Map(servers.map((server) => [server.plan.alias, server]));
  const ordered = new Set<TrialServer>();
  const visit = (server: TrialServer, path: readonly TrialServer[]): void => {
    if (path.includes(server)) return;
    for (const name of server.plan.live?.dependsOn ?? []) {
      const other = byAlias.get(name);
      if (other !== undefined) visit(other, [...path, server]);
    }
    ordered.add(server);
  };
  for (const server of servers) visit(server, []);
  return [...ordered];
}
