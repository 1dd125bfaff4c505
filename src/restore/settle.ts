import type { JobOptions } from '../activity/index.ts';
import type { Host, HostAccess, HostScope } from '../hosts/host.ts';
import {
  type LeaseScope,
  openLeaseScope,
  pathIdentity,
  takeLeases,
  type VolumeAccess,
  volumeIdentity,
  type VolumeScope,
  type Work,
} from '../leases/index.ts';
import { errorInWords } from '../lib/known-error.ts';
import { AppError, isAppError } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { Volume } from '../model/volume.ts';
import {
  findConsumers,
  isEmptyData,
  isUp,
  makeStill,
  planStops,
  putBack,
  startOnce,
} from '../quiesce/index.ts';
import type { BackupTarget, ManagedVolumes } from '../volumes/index.ts';
import { dropExpired, followMoved } from './kept-for-undo.ts';
import { commitAll, dropAll, isAllSwapped, takeAllBack } from './replacement.ts';
import { type RestoreJournal, listJournals, readJournal, refusalOf } from './restore-journal.ts';
import type { StreamedPlace } from './streamed-journal.ts';
import { refuseHalfStreamed, tellOfStreamed } from './settle-streamed.ts';

export interface SettleOptions extends JobOptions {
  /** Only what was restored on the host of this identity. */
  readonly ofHost?: string | undefined;
  /** Set where the host's volumes are managed: data kept for an undo follows a volume that was renamed. */
  readonly managed?: Pick<ManagedVolumes, 'list'> | undefined;
}

/**
 * Settles what killed restores left, before anything looks at a volume: each journal says whether the old or
 * the new data wins, as a whole. What cannot be settled now is reported and stays for the next time; a
 * restore under way is left alone. Drops data kept for an undo that has expired.
 */
export async function settleAll(access: VolumeAccess, options: SettleOptions): Promise<void> {
  const note = (what: string, error: unknown): void =>
    options.onNote?.(
      `What an interrupted restore has left${what} cannot be put right: ${errorInWords(error)}`,
    );
  const journals = await listJournals(access.stateDir, (error) => note('', error)).catch((error: unknown) => {
    note('', error);
    return [];
  });
  for (const journal of journals) {
    if (options.ofHost !== undefined && journal.hostIdentity !== options.ofHost) continue;
    try {
      await settleJournal(await openLeaseScope(access), { journal, held: [] }, options);
    } catch (error) {
      if (!isAppError(error, 'locked')) note(` of ${namesOf(journal)}`, error);
    }
  }
  await tellOfStreamed(access, options).catch((error: unknown) => note('', error));
  const { managed } = options;
  if (managed !== undefined)
    await followMoved(access.stateDir, managed).catch((error: unknown) => note('', error));
  await dropExpired({ stateDir: access.stateDir }).catch((error: unknown) => note('', error));
}

/** Settles what a killed restore left of a volume. */
export async function settleVolume(scope: VolumeScope, volume: Volume, options: JobOptions): Promise<void> {
  const host = await (await scope.host()).info({ signal: options.signal });
  const identity = volumeIdentity(scope.catalog, { hostIdentity: host.identity, name: volume.name });
  await settleIdentity(scope, { identity, held: [] }, options);
}

/** Like `settleVolume`, for a directory. */
export async function settlePath(scope: VolumeScope, path: string, options: JobOptions): Promise<void> {
  const identity = pathIdentity(scope.catalog, path);
  await settleIdentity(scope, { identity, held: [] }, options);
}

/** The same for a caller that already holds the lease. */
export async function settleHeld(
  scope: VolumeScope,
  target: BackupTarget,
  options: JobOptions,
): Promise<void> {
  const { catalog } = scope;
  const identity =
    target.kind === 'path'
      ? pathIdentity(catalog, target.name)
      : volumeIdentity(catalog, { hostIdentity: target.host.identity, name: target.name });
  if (target.kind === 'volume')
    await refuseHalfStreamed(
      scope.stateDir,
      { hostIdentity: target.host.identity, name: target.name },
      'back up',
    );
  await settleIdentity(scope, { identity, held: [identity] }, options);
}

/**
 * For a work that has its lease: throws where a killed restore has left the volume between its old and its new data. It is
 * not settled here, as works that only read share their leases, and a volume must not change below the others.
 */
export async function refuseHalfRestored(
  { stateDir, catalog }: Pick<VolumeScope, 'stateDir' | 'catalog'>,
  place: StreamedPlace,
  work: Work,
): Promise<void> {
  await refuseHalfStreamed(stateDir, place, work);
  const identity = volumeIdentity(catalog, place);
  const isLeft = (await listJournals(stateDir)).some(
    (journal) => isHalf(journal) && journal.members.some((member) => member.identity === identity),
  );
  if (!isLeft) return;
  throw new AppError(
    'conflict',
    `Cannot ${work} ${quote(place.name)}: a restore of it was interrupted, and it is open whether the old data or the new stays`,
    { hint: '"holdfast recover" decides that, or says why it cannot.' },
  );
}

/** At any other step the data is whole, and stays. */
export function isHalf({ step }: RestoreJournal): boolean {
  return step === 'swapping' || step === 'back';
}

async function settleIdentity(
  scope: VolumeScope,
  { identity, held }: { readonly identity: string; readonly held: readonly string[] },
  options: JobOptions,
): Promise<void> {
  for (const journal of await listJournals(scope.stateDir))
    if (journal.members.some((member) => member.identity === identity))
      await settleJournal(scope, { journal, held }, options);
}

interface Unsettled {
  readonly journal: RestoreJournal;
  /** The leases that the caller holds. */
  readonly held: readonly string[];
}

const words = {
  undone: 'was undone: the data is as it was before',
  finished: 'was finished: the data is as the snapshot has it',
  cleaned: 'has left files, which were removed: the data is whole',
  unstarted: 'was undone: the data is as it was before',
} as const;

async function settleJournal(
  scope: LeaseScope & HostScope,
  { journal: seen, held }: Unsettled,
  options: JobOptions,
): Promise<void> {
  const { hostIdentity } = seen;
  const places = seen.members
    .filter(({ identity }) => !held.includes(identity))
    .map(({ kind, name, identity, isCreated }) => ({
      kind,
      name,
      identity,
      hostIdentity,
      isRemovedThere: isCreated,
    }));
  await using _leases = await takeLeases(scope, { places, work: 'restore' }, options);
  // The process that held the leases until now may have finished the restore.
  const journal = await readJournal(scope.stateDir, seen.id);
  if (journal === undefined) return;
  const { outcome, why } = await settleLeased(scope, journal, options);
  const action = journal.action === 'undo' ? 'undo' : 'restore';
  const unproven = outcome === 'finished' && journal.levels.length > 0 ? unprovenNote : '';
  const more =
    why === undefined ? unproven : ` What ran is not started: ${why}. Try it with "holdfast recover".`;
  options.onNote?.(`An interrupted ${action} of ${namesOf(journal)} ${words[outcome]}.${more}`);
}

interface Settled {
  readonly outcome: keyof typeof words;
  /** For `unstarted`. */
  readonly why?: string;
}

const unprovenNote =
  ' Whether the containers are well on it was not waited for: "holdfast undo" brings the old data back.';

async function settleLeased(at: HostScope, journal: RestoreJournal, options: JobOptions): Promise<Settled> {
  const { stateDir } = at;
  if (journal.step === 'staging') {
    const wentBack = ranBefore(journal);
    const why = wentBack ? await tryToStart(at, journal, options) : undefined;
    if (why !== undefined) return { outcome: 'unstarted', why };
    await cleanUp(at, journal, options);
    return { outcome: wentBack ? 'undone' : 'cleaned' };
  }
  if (journal.step === 'committed' || (journal.step === 'swapping' && (await isAllSwapped(journal)))) {
    await commitAll(stateDir, { journal, now: new Date() });
    return { outcome: 'finished' };
  }
  await goBack(at, journal, options);
  await cleanUp(at, journal, options);
  return { outcome: 'undone' };
}

/** Removes what was made for the restore. Another engine may have a volume of the same name. */
async function cleanUp(at: HostScope, journal: RestoreJournal, options: JobOptions): Promise<void> {
  if (journal.members.some(({ isCreated }) => isCreated)) await hostOf(at, journal, true);
  await dropAll(at.stateDir, journal);
  await removeCreated(at, journal, options);
}

/** Brings back the old data, with nothing running on it, then starts what ran before. */
async function goBack(at: HostScope, journal: RestoreJournal, options: JobOptions): Promise<void> {
  const host = await hostOf(at, journal, ranBefore(journal));
  const containers = host?.containers;
  const up = containers === undefined ? [] : (await findConsumers(at, journal.members, options)).filter(isUp);
  if (containers === undefined || up.length === 0) {
    await takeAllBack(at.stateDir, journal);
  } else {
    // An engine that was restarted has started them.
    const names = journal.members.map(({ name }) => name);
    const { refusal } = await planStops(at, { containers, before: up, names, stopsPaused: true }, options);
    if (refusal !== undefined) throw refusal;
    const reason = `restore ${names.map(quote).join(', ')}`;
    const about = { reason, restoreId: journal.id, stopsPaused: true };
    const request = { ...about, containers: up, how: 'stop' } as const;
    await using _still = await makeStill(at, request, options);
    await takeAllBack(at.stateDir, journal);
  }
  await startAgain(host, journal, options);
}

function ranBefore({ levels }: RestoreJournal): boolean {
  return levels.flat().length > 0;
}

/** The data is whole, so a container that cannot be started must not block backups. Returns why it cannot. */
async function tryToStart(
  at: HostScope,
  journal: RestoreJournal,
  options: JobOptions,
): Promise<string | undefined> {
  try {
    const host = await hostOf(at, journal, true);
    await startOnce(refusalOf(at.stateDir, journal.id), (patienceMs) =>
      startAgain(host, journal, { ...options, patienceMs }),
    );
    return undefined;
  } catch (error) {
    if (options.signal?.aborted === true) throw error;
    return errorInWords(error);
  }
}

/** Starts what ran before, even if it was started since: that may have been on the other data. */
async function startAgain(
  host: Host | undefined,
  journal: RestoreJournal,
  options: JobOptions & { readonly patienceMs?: number },
): Promise<void> {
  if (host?.containers !== undefined && ranBefore(journal))
    await putBack(host.containers, journal.levels, options);
}

/** The engine whose containers ran. Without it, their state is unknown. */
async function hostOf(access: HostAccess, journal: RestoreJournal, ran: boolean): Promise<Host | undefined> {
  const host = await access.host().catch((error: unknown) => {
    if (ran) throw error;
    return undefined;
  });
  if (!ran || host === undefined) return host;
  if ((await host.info()).identity === journal.hostIdentity) return host;
  throw new AppError('unavailable', 'it belongs to another engine than the one that answers', {
    hint: 'Run the command again with the --host that the restore had.',
  });
}

/** Removes volumes made for a failed restore; only empty ones that no container refers to. */
async function removeCreated(
  access: HostAccess,
  { members }: RestoreJournal,
  options: JobOptions,
): Promise<void> {
  for (const { name, isCreated } of members) {
    if (!isCreated) continue;
    const host = await access.host();
    const volume = await host.findVolume(name);
    if (volume === undefined || volume.consumers.length > 0) continue;
    if (await isEmptyVolume(host, name, options)) await host.removeVolume(name);
  }
}

async function isEmptyVolume(host: Host, name: string, options: JobOptions): Promise<boolean> {
  await using data = await host.openData(name);
  return await isEmptyData(data, options);
}

function namesOf({ members }: RestoreJournal): string {
  return members.map(({ name }) => quote(name)).join(', ');
}
