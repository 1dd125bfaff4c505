import { mkdir } from 'node:fs/promises';
import { removeTree } from '../lib/remove-tree.ts';
import { fromText, toPath } from '../model/byte-string.ts';
import { knownError } from '../lib/known-error.ts';
import { AppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { SaveProblem, Snapshot } from '../model/snapshot.ts';
import type { Volume } from '../model/volume.ts';
import { saveBeforeRestore } from './backup.ts';
import { pathConsumers } from './describe-volume.ts';
import { pathIdentity, volumeIdentity } from './identity.ts';
import { takeLease } from './lease.ts';
import { logged } from './log/logged.ts';
import type { JobOptions, Protection } from './protection.ts';
import { type DirectoryWork, type FillResult, fillDirectory } from './fill-directory.ts';
import { fillStream, readThrough } from './fill-stream.ts';
import { refuseActive } from './refuse-active.ts';
import { replacePath } from './replace-path.ts';
import type { Destination, RestorePlan } from './restore-plan.ts';
import { exists } from './swap.ts';
import type { BackupTarget } from './targets.ts';

export interface RestoreReport {
  readonly snapshot: Snapshot;
  /** The volume's name or the directory. */
  readonly name: string;
  readonly created: boolean;
  readonly files: number;
  readonly bytes: number;
  /** Metadata that could not be set, and what the way to the data cannot carry. */
  readonly problems: readonly SaveProblem[];
  /** What was there before, when it was saved. */
  readonly safetySnapshot: Snapshot | undefined;
}

/** Carries a plan out, under a lease on the destination. A failure leaves the destination as it was. */
export async function applyRestore(
  parts: Protection,
  plan: RestorePlan,
  options: JobOptions,
): Promise<RestoreReport> {
  const { destination, snapshot } = plan;
  const event = { kind: 'restore', volume: destination.name, snapshot: snapshot.id } as const;
  const work = (): Promise<RestoreReport> => restorePlanned(parts, plan, options);
  return await logged(parts, {
    event,
    work,
    done: async ({ problems }) => [
      {
        ...event,
        outcome: problems.length > 0 ? 'partial' : 'good',
        repository: (await parts.repository()).id,
        message: problems[0]?.message,
      },
    ],
  });
}

async function restorePlanned(
  parts: Protection,
  plan: RestorePlan,
  options: JobOptions,
): Promise<RestoreReport> {
  const { destination } = plan;
  if (plan.refusal !== undefined) throw plan.refusal;
  const identity = await identityOf(parts, destination, options);
  await using _lease = await takeLease({
    stateDir: parts.stateDir,
    identity,
    name: destination.name,
    action: 'restore',
  });
  const done = await restoreInto(parts, { plan, destination }, options).catch((error: unknown) => {
    throw knownError(error, `Cannot restore ${quote(destination.name)}`);
  });
  await keepLineage(parts, plan, options);
  const { files, bytes, problems } = done.filled;
  return {
    snapshot: plan.snapshot,
    name: destination.name,
    created: done.created,
    files,
    bytes,
    problems,
    safetySnapshot: done.safetySnapshot,
  };
}

interface Done {
  readonly filled: FillResult;
  readonly created: boolean;
  readonly safetySnapshot: Snapshot | undefined;
}

interface Work<D extends Destination = Destination> {
  readonly plan: RestorePlan;
  readonly destination: D;
}

async function restoreInto(
  parts: Protection,
  { plan, destination }: Work,
  options: JobOptions,
): Promise<Done> {
  if (destination.kind === 'new-volume') return await intoNewVolume(parts, { plan, destination }, options);
  if (destination.kind === 'directory') return await intoDirectory(parts, { plan, destination }, options);
  return await intoVolume(parts, { plan, destination }, options);
}

async function intoNewVolume(
  parts: Protection,
  { plan, destination }: Work<Extract<Destination, { kind: 'new-volume' }>>,
  options: JobOptions,
): Promise<Done> {
  const host = await parts.host();
  if ((await host.findVolume(destination.name, { signal: options.signal })) !== undefined)
    throw changedMeanwhile(destination.name);
  const volume = await host.createVolume(destination.spec, { signal: options.signal });
  try {
    return {
      filled: await fillVolume(parts, { plan, volume, mustBeEmpty: true }, options),
      created: true,
      safetySnapshot: undefined,
    };
  } catch (error) {
    // It was made for this restore, so it goes with it. Without the signal: also after a cancel.
    await host.removeVolume(volume.name);
    throw error;
  }
}

async function intoDirectory(
  parts: Protection,
  { plan, destination }: Work<Extract<Destination, { kind: 'directory' }>>,
  options: JobOptions,
): Promise<Done> {
  const safetySnapshot = plan.safetySnapshot
    ? await saveSafety(parts, { kind: 'path', name: destination.name }, options)
    : undefined;
  const confirmFree = async (): Promise<void> => {
    refuseActive(destination.name, await pathConsumers(parts, destination.name, options));
  };
  const work = { plan, root: fromText(destination.name), mustBeEmpty: destination.isEmpty, confirmFree };
  return { filled: await fillDirect(parts, work, options), created: false, safetySnapshot };
}

async function intoVolume(
  parts: Protection,
  { plan, destination }: Work<Extract<Destination, { kind: 'volume' }>>,
  options: JobOptions,
): Promise<Done> {
  const host = await parts.host();
  const volume = await host.findVolume(destination.name, { signal: options.signal });
  if (volume === undefined) throw changedMeanwhile(destination.name);
  refuseActive(volume.name, volume.consumers);
  if (plan.replaces && destination.way === 'stream' && plan.path === '')
    return await replaceStreamed(parts, { plan, volume }, options);
  const safetySnapshot = plan.safetySnapshot
    ? await saveSafety(parts, await asTarget(parts, volume, options), options)
    : undefined;
  const filled = await fillVolume(parts, { plan, volume, mustBeEmpty: destination.isEmpty }, options);
  return { filled, created: false, safetySnapshot };
}

interface VolumeWork {
  readonly plan: RestorePlan;
  readonly volume: Volume;
  readonly mustBeEmpty: boolean;
}

async function fillVolume(
  parts: Protection,
  { plan, volume, mustBeEmpty }: VolumeWork,
  options: JobOptions,
): Promise<FillResult> {
  const host = await parts.host();
  await using data = await host.openData(volume.name, { signal: options.signal, write: true });
  const confirmFree = async (): Promise<void> => {
    const now = await host.findVolume(volume.name, { signal: options.signal });
    if (now !== undefined) refuseActive(now.name, now.consumers);
  };
  if (data.way === 'stream')
    return await fillStream(parts, { plan, data, mustBeEmpty, name: volume.name }, options);
  const work = { plan, root: data.root, mustBeEmpty, confirmFree };
  return await fillDirect(parts, work, options);
}

/** All of it, or a part in the place that it came from. */
async function fillDirect(parts: Protection, work: DirectoryWork, options: JobOptions): Promise<FillResult> {
  if (work.plan.path === '' || !work.plan.keepsPlace) return await fillDirectory(parts, work, options);
  const isThere = await exists(work.root);
  if (!isThere) await mkdir(toPath(work.root));
  try {
    return await replacePath(parts, work, options);
  } catch (error) {
    if (!isThere) await removeTree(work.root);
    throw error;
  }
}

/** A stream cannot delete: the volume is removed and made again. Only when the snapshot was read to its end before, and the old data is safe. */
async function replaceStreamed(
  parts: Protection,
  { plan, volume }: Omit<VolumeWork, 'mustBeEmpty'>,
  options: JobOptions,
): Promise<Done> {
  const host = await parts.host();
  if (volume.consumers.length > 0) {
    throw new AppError(
      'unsupported',
      `Cannot replace the data of ${quote(volume.name)}: it is reached through the engine only, and containers refer to it`,
      {
        detail: 'To replace its data there, the volume has to be removed and made again.',
        hint: `Remove those containers first, or restore beside it: --to ${volume.name}-restored`,
      },
    );
  }
  await readThrough(parts, plan, options);
  const safetySnapshot = await saveSafety(parts, await asTarget(parts, volume, options), options);
  const again = async (): Promise<Volume> => {
    // It may be gone already, when the engine failed between the two.
    if ((await host.findVolume(volume.name)) !== undefined) await host.removeVolume(volume.name);
    return await host.createVolume({
      name: volume.name,
      driver: volume.driver,
      options: volume.options,
      labels: volume.labels,
    });
  };
  try {
    return {
      filled: await fillVolume(parts, { plan, volume: await again(), mustBeEmpty: true }, options),
      created: false,
      safetySnapshot,
    };
  } catch (error) {
    const undo: RestorePlan = { ...plan, snapshot: safetySnapshot };
    await again()
      .then((remade) => fillVolume(parts, { plan: undo, volume: remade, mustBeEmpty: true }, {}))
      .catch((undoing: unknown) => {
        throw notPutBack(error, undoing, safetySnapshot);
      });
    throw error;
  }
}

/** Neither the new data is there nor the old: whoever reads it must know where the old is. */
function notPutBack(error: unknown, undoing: unknown, { id, name }: Snapshot): AppError {
  const reasons = [error, undoing].map((one) => (one instanceof Error ? one.message : String(one)));
  return new AppError('failed', `Cannot restore ${quote(name)}, and could not put back what was in it`, {
    detail: reasons.join('\n'),
    hint: `What was in it is safe in snapshot "${id.slice(0, 8)}". When the engine answers again, run "holdfast restore ${name}@${id.slice(0, 8)}".`,
    cause: error,
  });
}

/** Data that could not be saved whole is not replaced. */
async function saveSafety(parts: Protection, target: BackupTarget, options: JobOptions): Promise<Snapshot> {
  const { snapshot, problems } = await saveBeforeRestore(parts, target, options);
  if (snapshot !== undefined && problems.length === 0) return snapshot;
  throw new AppError('partial', `Cannot save what is in ${quote(target.name)} now, so it is not replaced`, {
    detail: problems
      .slice(0, 5)
      .map((problem) => problem.message)
      .join('\n'),
    hint: 'Put this right, or go without: --no-safety-snapshot.',
  });
}

async function asTarget(parts: Protection, volume: Volume, options: JobOptions): Promise<BackupTarget> {
  const host = await (await parts.host()).info({ signal: options.signal });
  return { kind: 'volume', name: volume.name, volume, host };
}

async function identityOf(parts: Protection, destination: Destination, options: JobOptions): Promise<string> {
  const catalog = await parts.catalog();
  if (destination.kind === 'directory') return pathIdentity(catalog, destination.name);
  const hostIdentity = (await (await parts.host()).info({ signal: options.signal })).identity;
  return volumeIdentity(catalog, { hostIdentity, name: destination.name });
}

/** A volume that was brought back as a whole goes on in the lineage of its snapshots. A copy under another name has its own. */
async function keepLineage(parts: Protection, plan: RestorePlan, options: JobOptions): Promise<void> {
  const recorded = plan.snapshot.volume;
  if (plan.path !== '' || plan.destination.kind === 'directory') return;
  if (recorded?.kind !== 'volume' || recorded.name !== plan.destination.name) return;
  const { identity } = await (await parts.host()).info({ signal: options.signal });
  (await parts.catalog()).setVolumeIdentity(identity, recorded.name, recorded.identity);
}

function changedMeanwhile(name: string): AppError {
  return new AppError('conflict', `${quote(name)} has changed since the plan was made`, {
    hint: 'Run the restore again.',
  });
}
