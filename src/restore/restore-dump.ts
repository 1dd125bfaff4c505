import type { Container } from '../hosts/containers.ts';
import { toText } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { SnapshotEntry } from '../repository/index.ts';
import { backup, type BackupAccess } from '../backup/index.ts';
import { settleHeld } from './settle.ts';
import { openSnapshot, openSources, safetyTag, type SnapshotSources } from '../snapshots/index.ts';
import { takeLeases } from '../leases/index.ts';
import { type JobOptions, logged } from '../activity/index.ts';
import {
  planApplication,
  presetOfDump,
  volumeContainers,
  type PlannedServer,
  type Preset,
} from '../quiesce/index.ts';

export interface DumpRestoreRequest {
  /** As in `RestoreRequest`. */
  readonly what: string;
  /** The volume whose running database takes the dumps; undefined means the snapshot's own. */
  readonly to?: string | undefined;
  /** Names of dumps; undefined means all. */
  readonly only?: readonly string[] | undefined;
  /** Save and dump the current data first. */
  readonly safetySnapshot: boolean;
}

/** What feeding a snapshot's dumps to a running database would do. */
export interface DumpRestorePlan {
  readonly snapshot: Snapshot;
  readonly volume: string;
  readonly preset: Preset;
  readonly server: PlannedServer;
  /** In restore order. */
  readonly dumps: readonly SnapshotEntry[];
  readonly safetySnapshot: boolean;
}

export interface DumpRestoreReport {
  readonly snapshot: Snapshot;
  readonly volume: string;
  readonly container: string;
  readonly dumps: readonly string[];
  readonly bytes: number;
  /** The snapshot of the old data. */
  readonly safetySnapshot: Snapshot | undefined;
}

/** Finds the dumps and the server that takes them; changes nothing. */
export async function planDumpRestore(
  sources: SnapshotSources,
  { what, to, only, safetySnapshot }: DumpRestoreRequest,
  options: JobOptions,
): Promise<DumpRestorePlan> {
  const { repository, snapshot } = await openSnapshot(sources, what, options);
  const id = quote(snapshot.id.slice(0, 8));
  const all = await repository.listDumps(snapshot, options);
  if (all.length === 0)
    throw new AppError('not-found', `Snapshot ${id} has no dump`, {
      hint: 'Its files are restored without --from-dump. Dumps are made with the label "holdfast.dump=true".',
    });
  const chosen = only === undefined ? all : only.map((name) => findDump(name, { all, id }));
  const preset = onlyPreset(chosen, id);
  if (preset.restoreDump === undefined)
    throw new AppError('unsupported', `${preset.title} takes no dump while it runs`, {
      hint: `Restore its files, or write the dump to a file: holdfast dump ${snapshot.id.slice(0, 8)} --dump "${toText(chosen[0]?.path ?? '')}"`,
    });
  const volume = to ?? snapshot.volume?.name ?? snapshot.name;
  const containers = await volumeContainers(sources, volume, options);
  return {
    snapshot,
    volume,
    preset,
    server: chooseServer({ volume, containers, preset }),
    dumps: chosen.toSorted((a, b) => order(a) - order(b) || (a.path < b.path ? -1 : 1)),
    safetySnapshot,
  };
}

/**
 * Saves the current data with a dump of it, then restores one dump after the other. Each keeps the preset's
 * guarantees; when one fails, those before it stay restored.
 */
export async function applyDumpRestore(
  access: BackupAccess,
  plan: DumpRestorePlan,
  options: JobOptions,
): Promise<DumpRestoreReport> {
  const { snapshot, volume, server } = plan;
  const { stateDir, log } = access;
  const sources = await openSources(access);
  const event = {
    kind: 'restore',
    volume,
    snapshot: snapshot.id,
    repository: sources.repository.id,
  } as const;
  return await logged(log, {
    event: { ...event, message: 'from its dumps' },
    work: async () => {
      const safetySnapshot = plan.safetySnapshot ? await saveSafety(access, volume, options) : undefined;
      const { identity: hostIdentity } = await (await sources.host()).info({ signal: options.signal });
      const places = [{ kind: 'volume' as const, name: volume, hostIdentity }];
      await using _lease = await takeLeases({ stateDir, ...sources }, { places, work: 'restore' }, options);
      const bytes = await feedDumps(sources, plan, options);
      const dumps = plan.dumps.map(({ path }) => toText(path));
      return { snapshot, volume, container: server.container.name, dumps, bytes, safetySnapshot };
    },
  });
}

async function saveSafety(access: BackupAccess, volume: string, options: JobOptions): Promise<Snapshot> {
  const { outcomes } = await backup(
    access,
    {
      targets: [volume],
      all: false,
      stacks: [],
      marks: [safetyTag],
      dryRun: false,
      // Everything, also what other backups leave out.
      given: { dump: true, excludes: [], tags: [] },
    },
    { ...options, settleRestore: settleHeld },
  );
  const [outcome] = outcomes;
  if (outcome?.snapshot !== undefined && outcome.outcome === 'good') return outcome.snapshot;
  throw new AppError('partial', `Cannot save what is in ${quote(volume)} now, so it is not replaced`, {
    detail: outcome?.error?.message ?? outcome?.problems[0]?.message,
    hint: 'Put this right, or go without: --no-safety-snapshot.',
    cause: outcome?.error,
  });
}

async function feedDumps(
  sources: Pick<SnapshotSources, 'repository' | 'host'>,
  plan: DumpRestorePlan,
  options: JobOptions,
): Promise<number> {
  const { containers } = await sources.host();
  const { preset, snapshot, server } = plan;
  if (containers === undefined || preset.restoreDump === undefined)
    throw new AppError('unsupported', 'This host runs no containers that could take a dump');
  const { repository } = sources;
  const { container, mountPath, recognition } = server;
  const { signal, onProgress } = options;
  let bytes = 0;
  const bytesTotal = plan.dumps.reduce((sum, { size }) => sum + size, 0);
  for (const [index, entry] of plan.dumps.entries()) {
    const name = toText(entry.path);
    const counted = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
      for await (const chunk of repository.readFile(snapshot, entry, { signal })) {
        yield chunk;
        bytes += chunk.length;
        onProgress?.({
          phase: 'restoring the dump',
          filesDone: index,
          filesTotal: plan.dumps.length,
          bytesDone: bytes,
          bytesTotal,
          current: name,
        });
      }
    };
    await preset.restoreDump(
      { containers, container, mountPath, recognition, signal },
      { name, body: counted() },
    );
  }
  return bytes;
}

/** Roles before the databases that they own. */
function order({ path }: SnapshotEntry): number {
  return path.includes('.globals.') ? 0 : 1;
}

function findDump(
  name: string,
  { all, id }: { readonly all: readonly SnapshotEntry[]; readonly id: string },
): SnapshotEntry {
  const found = all.find(({ path }) => toText(path) === name);
  if (found !== undefined) return found;
  throw new AppError('not-found', `Snapshot ${id} has no dump ${quote(name)}`, {
    hint: `It has ${all.map(({ path }) => quote(toText(path))).join(', ')}.`,
  });
}

function onlyPreset(dumps: readonly SnapshotEntry[], id: string): Preset {
  const found = new Set(dumps.map(({ path }) => presetOfDump(toText(path))));
  const [preset] = found;
  if (preset !== undefined && found.size === 1) return preset;
  throw new AppError('unsupported', `The dumps of snapshot ${id} are not of one kind that is known`, {
    hint: 'Name one with --dump.',
  });
}

interface ServerChoice {
  readonly volume: string;
  readonly containers: readonly Container[];
  readonly preset: Preset;
}

function chooseServer({ volume, containers, preset }: ServerChoice): PlannedServer {
  const settings = { preset: preset.name };
  const plan = planApplication(
    [{ name: volume, labels: {}, stack: undefined, containers, disk: undefined, settings }],
    containers,
  );
  const [server] = plan.servers;
  if (server !== undefined) return server;
  throw new AppError('unavailable', `No ${preset.title} runs on ${quote(volume)} that could take the dump`, {
    hint: 'Start its container first: a dump is fed to a server that runs.',
  });
}
