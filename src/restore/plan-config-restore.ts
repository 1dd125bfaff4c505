import type { Catalog } from '../catalog/catalog.ts';
import { type SnapshotSources, isSavedAs } from '../snapshots/index.ts';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import type { JobOptions } from '../activity/index.ts';
import { knownError } from '../lib/known-error.ts';
import { exists, nameOf, parentOf } from '../lib/on-disk.ts';
import { openTrusted, realPathOf } from '../lib/open-trusted.ts';
import { requireAnswer } from '../lib/require-answer.ts';
import { type ByteString, fromText, toPath, toPrintable, toText } from '../model/byte-string.ts';
import { isWithin } from '../model/clean-path.ts';
import type { Entry } from '../model/entry.ts';
import { quote } from '../model/quote.ts';
import { amount } from '../model/size.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { SnapshotEntry } from '../repository/index.ts';
import { changesOfEntry, entryDestination } from './choose-destination.ts';
import { defaultHealthyWithinMs, type RestorePlan, type RestoreRequest } from './restore-plan.ts';
import { refuseMountsBelow } from './stage.ts';

/** What restoring the files that a stack's containers need would do. */
export interface ConfigPlan {
  /** One for each file that is missing or differs. */
  readonly plans: readonly RestorePlan[];
  readonly notes: readonly string[];
}

type ConfigRequest = Pick<RestoreRequest, 'safetySnapshot' | 'healthyWithinMs' | 'asRecorded' | 'mapOwner'>;

/**
 * Plans to bring back missing or changed files that lie beside the data in the snapshots of a stack; changes
 * nothing. A file that a container can write to comes back only when it is missing. A user who can write to a
 * repository controls its contents: unless this machine has recorded that it saved the snapshot, nothing
 * outside of volumes is written before the caller agrees (`asRecorded`).
 */
export async function planConfigRestore(
  sources: Pick<SnapshotSources, 'repository' | 'catalog'>,
  {
    snapshots,
    request,
    notWritten,
  }: {
    readonly snapshots: readonly Snapshot[];
    readonly request: ConfigRequest;
    /** Why this machine's files cannot come back together with the volumes. */
    readonly notWritten: string | undefined;
  },
  options: JobOptions,
): Promise<ConfigPlan> {
  const snapshot = newestWithFiles(snapshots);
  if (snapshot === undefined) return { plans: [], notes: notesOfMissing(snapshots) };
  if (notWritten !== undefined)
    return { plans: [], notes: [`What its containers need is not written: ${notWritten}.`] };
  const entries: SnapshotEntry[] = [];
  for await (const entry of sources.repository.walk(snapshot, '', { inConfig: true, signal: options.signal }))
    if (entry.path !== '') entries.push(entry);
  const folders = new Map(entries.filter(({ type }) => type === 'dir').map((entry) => [entry.path, entry]));
  const plans: RestorePlan[] = [];
  const notes = notesOfMissing([snapshot]);
  for (const entry of entries) {
    if (entry.type === 'dir') continue;
    try {
      const plan = await planOne({ entry, folders, snapshot, request }, options);
      if (plan === undefined) continue;
      if (isWritten(plan, snapshot)) notes.push(noteOfWritten(plan));
      else plans.push(plan);
    } catch (error) {
      // A problem with the files must not keep the data from coming back.
      if (options.signal?.aborted === true) throw error;
      notes.push(
        `"/${toPrintable(entry.path)}" is left as it is: ${knownError(error, 'it cannot be replaced').message}.`,
      );
    }
  }
  if (plans.length === 0 || request.asRecorded === true || isOwnWork(sources.catalog, snapshot))
    return { plans, notes };
  const shown = plans.slice(0, 3).map(({ destination }) => quote(destination.name));
  const more = plans.length > 3 ? `, and ${amount(plans.length - 3, 'file')} more` : '';
  return {
    plans: [],
    notes: [
      ...notes,
      `What its containers need is not written, as this machine does not know that it saved it: ${shown.join(', ')}${more}. --as-recorded writes it.`,
    ],
  };
}

/** A file that a container writes to was saved in use, and is data: it comes back only when it is missing. */
function isWritten({ destination, path }: RestorePlan, { config }: Snapshot): boolean {
  if (destination.kind !== 'entry' || !destination.isFile) return false;
  return (config?.writable ?? []).some((one) => isWithin(`/${path ?? ''}`, fromText(one)));
}

function noteOfWritten({ destination: { name }, snapshot: { id } }: RestorePlan): string {
  return `${quote(name)} is left as it is, as a container can write to it. What was saved of it: holdfast dump ${id.slice(0, 8)} --container-file ${quote(name)}.`;
}

/** All snapshots of one moment have the same files. */
function newestWithFiles(snapshots: readonly Snapshot[]): Snapshot | undefined {
  return snapshots
    .filter(({ config }) => config !== undefined && config.saved.length > 0)
    .toSorted((one, other) => Date.parse(one.time) - Date.parse(other.time))
    .at(-1);
}

function notesOfMissing(snapshots: readonly Snapshot[]): string[] {
  const leftOut = new Map(
    snapshots.flatMap(({ config }) => (config?.leftOut ?? []).map((one) => [one.path, one.reason])),
  );
  return [...leftOut].map(
    ([path, reason]) => `The snapshots are without ${quote(path)}, which its containers need: ${reason}.`,
  );
}

/** Its id is the hash of its content, so no other program can have made a different one with the same id. */
function isOwnWork(catalog: Catalog, snapshot: Snapshot): boolean {
  const volumeIdentity = snapshot.volume?.identity;
  if (volumeIdentity === undefined) return false;
  const runs = catalog.listRuns({ volumeIdentity, limit: 10_000 });
  return isSavedAs(
    { ...snapshot, original: undefined },
    new Set(runs.flatMap((run) => run.snapshotId ?? [])),
  );
}

interface OneFile {
  readonly entry: SnapshotEntry;
  readonly folders: ReadonlyMap<string, Entry>;
  readonly snapshot: Snapshot;
  readonly request: ConfigRequest;
}

/** Undefined for a file that is as it was. */
async function planOne(
  { entry, folders, snapshot, request }: OneFile,
  options: JobOptions,
): Promise<RestorePlan | undefined> {
  const name = toText(`/${entry.path}`);
  await requireAnswer(`/${entry.path}`, { name, signal: options.signal });
  // A link's target is for its user to change: it comes back only when it is missing.
  if (entry.type !== 'file' && (await exists(`/${entry.path}`))) return undefined;
  const destination = { ...(await entryDestination(name)), folders: foldersAbove(entry.path, folders) };
  const replaces = !destination.isEmpty;
  const since = snapshot.time;
  const changes = replaces ? await changesOfEntry(destination, { entry, since }, options) : undefined;
  if (changes !== undefined && changes.changes + changes.metadata + changes.comesBack === 0) return undefined;
  await refuseFixed(`/${entry.path}`);
  return {
    ...{ snapshot, entry, destination, changes, replaces, inConfig: true, path: entry.path },
    keepsPlace: true,
    safetySnapshot: replaces && request.safetySnapshot,
    stops: [],
    healthyWithinMs: request.healthyWithinMs ?? defaultHealthyWithinMs,
    keepForMs: 0,
    space: undefined,
    mapOwner: request.mapOwner,
    takesOver: false,
    refusal: undefined,
    notes: [],
  };
}

/** Throws for what would fail the whole restore: the file's folder must allow a swap. */
async function refuseFixed(path: ByteString): Promise<void> {
  let above = parentOf(path);
  while (!(await exists(above))) above = parentOf(above);
  using folder = openTrusted(above);
  await access(toPath(folder.at('.')), constants.W_OK);
  if (above !== parentOf(path)) return;
  const realPath = realPathOf(folder);
  await refuseMountsBelow(realPath, { realPath }, nameOf(path));
}

function foldersAbove(path: string, folders: ReadonlyMap<string, Entry>): Entry[] {
  const found: Entry[] = [];
  for (let above = parentOf(`/${path}`); above !== '/'; above = parentOf(above)) {
    const entry = folders.get(above.slice(1));
    if (entry !== undefined) found.push(entry);
  }
  return found;
}
