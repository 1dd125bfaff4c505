import type { HostAccess } from '../hosts/host.ts';
import path from 'node:path';
import type { AuditLog, JobOptions, LoggedState } from '../activity/index.ts';
import { isLedAway, summarize, type RestoreChanges } from '../backup/index.ts';
import { trialPrefix } from '../hosts/containers.ts';
import { openLeaseScope, takeLeases, type VolumeAccess } from '../leases/index.ts';
import { knownError } from '../lib/known-error.ts';
import { toText } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import { localTime } from '../model/local-time.ts';
import type { LogEvent } from '../model/log-entry.ts';
import { quote } from '../model/quote.ts';
import { parseTarget } from '../model/target.ts';
import { liveEntries, planStopsAt } from '../quiesce/index.ts';
import { compareTrees } from '../snapshots/index.ts';
import { dropUndo, isUndoable, listUndoRecords, type UndoRecord } from '../volumes/index.ts';
import { openReplacement } from './replacement.ts';
import { stoppedOr, findAiling, swapLive } from './swap-live.ts';

export interface UndoRequest {
  /** A volume or directory; undefined means what was restored last. */
  readonly what: string | undefined;
  /** How long containers may take to become healthy. Default: two minutes. */
  readonly healthyWithinMs?: number | undefined;
}

/** What an undo would do. What was restored together is undone together. */
export interface UndoPlan {
  readonly places: readonly UndoPlace[];
  /** When it was restored, RFC 3339. */
  readonly restoredAt: string;
  /** True when it was undone already: the restored data comes back. */
  readonly isUndone: boolean;
  /** Names of the containers that are stopped for it, in order. */
  readonly stops: readonly string[];
  readonly healthyWithinMs: number;
  readonly refusal: AppError | undefined;
}

export interface UndoPlace {
  readonly record: UndoRecord;
  readonly changes: RestoreChanges;
}

export interface UndoReport {
  readonly names: readonly string[];
  readonly stopped: readonly string[];
  readonly stillMs: number;
  /** Until when the undo can be undone, RFC 3339. */
  readonly until: string;
}

/** Finds out what an undo would do; changes nothing. */
export async function planUndo(
  access: HostAccess & LoggedState,
  request: UndoRequest,
  options: JobOptions,
): Promise<UndoPlan> {
  const records = await findRecords(access, request.what, options);
  const [first] = records;
  if (first === undefined) throw nothingKept(request.what);
  const places: UndoPlace[] = [];
  for (const record of records) {
    if (!(await isUndoable(record))) throw notThere(record);
    if (record.kind === 'path' && (await isLedAway(record.name, toText(record.root)))) throw ledAway(record);
    places.push({ record, changes: await changesOf(record, options) });
  }
  const containers = await access.host().then(
    (host) => host.containers,
    () => undefined,
  );
  const stops = await planStopsAt(access, { containers, places: records }, options);
  return {
    places,
    restoredAt: first.keptAt,
    isUndone: first.isUndone,
    stops: stops.names,
    healthyWithinMs: request.healthyWithinMs ?? 120_000,
    refusal: stops.refusal,
  };
}

/** Carries out the plan by the same swap as a restore: a failure leaves everything as it was. */
export async function applyUndo(
  access: VolumeAccess & LoggedState,
  plan: UndoPlan,
  options: JobOptions,
): Promise<UndoReport> {
  if (plan.refusal !== undefined) throw plan.refusal;
  const { stateDir, log } = access;
  const records = plan.places.map(({ record }) => record);
  const scope = await openLeaseScope(access);
  await using _leases = await takeLeases(scope, { places: records, work: 'undo the restore of' }, options);
  await refuseChanged(stateDir, records);
  const names = records.map(({ name }) => quote(name)).join(', ');
  try {
    await using replacement = await openReplacement({
      stateDir,
      action: 'undo',
      hostIdentity: records.find(({ hostIdentity }) => hostIdentity !== undefined)?.hostIdentity,
      snapshotIds: records[0]?.snapshotIds ?? [],
      members: records.map(({ kind, name, identity, root, stage, inode, until }) => ({
        ...{ kind, name, identity, root },
        kept: { stage, inode },
        keepUntil: until,
      })),
    });
    const { healthyWithinMs } = plan;
    const ailing = await findAiling(access, records, options);
    const reason = `restore (undo) ${names}`;
    const swap = { replacement, places: records, reason, healthyWithinMs, ailing };
    const report = await swapLive(access, swap, options);
    const until = records.map((record) => record.until).sort()[0] ?? '';
    await tell(log, records, { outcome: 'good' });
    return { ...report, names: records.map(({ name }) => name), until };
  } catch (error) {
    const known = stoppedOr(error, options) ?? knownError(error, `Cannot undo the restore of ${names}`);
    await tell(log, records, { outcome: 'failed', message: known.message });
    throw known;
  }
}

async function tell(
  log: AuditLog,
  records: readonly UndoRecord[],
  came: Pick<LogEvent, 'outcome' | 'message'>,
): Promise<void> {
  await log.record(records.map(({ name }) => ({ kind: 'undo', volume: name, ...came })));
}

/** All that is kept here and can be brought back, oldest first. */
export async function listUndo(stateDir: string): Promise<UndoRecord[]> {
  const kept: UndoRecord[] = [];
  for (const record of await listUndoRecords(stateDir)) if (await isUndoable(record)) kept.push(record);
  return kept;
}

/** Deletes the data kept of the named restore. Permanent. */
export async function dropKept(
  access: VolumeAccess & LoggedState,
  request: Pick<UndoRequest, 'what'>,
  options: JobOptions,
): Promise<UndoRecord[]> {
  const { stateDir } = access;
  const records = await findRecords(access, request.what, options);
  if (records.length === 0) throw nothingKept(request.what);
  const scope = await openLeaseScope(access);
  await using _leases = await takeLeases(scope, { places: records, work: 'drop what is kept of' }, options);
  await refuseChanged(stateDir, records);
  for (const record of records) await dropUndo(stateDir, record);
  return records;
}

/** The records of one restore. */
async function findRecords(
  { stateDir, host: openHost, log }: HostAccess & LoggedState,
  what: string | undefined,
  options: JobOptions,
): Promise<UndoRecord[]> {
  // Records of directories need no engine.
  const host = await openHost().catch(() => undefined);
  const identity = (await host?.info({ signal: options.signal }).catch(() => undefined))?.identity;
  const here = (await listUndoRecords(stateDir)).filter(
    ({ kind, hostIdentity }) => kind === 'path' || hostIdentity === identity,
  );
  const other = here.at(-1);
  const names = what === undefined ? await lastRestored(log, other?.keptAt ?? '') : [nameOf(what)];
  const meant = here.findLast(({ name }) => names === undefined || names.includes(name));
  // The newest kept data may belong to another volume, and be a week old.
  if (what === undefined && meant === undefined && other !== undefined) throw keptOfOther(names ?? [], other);
  return here.filter(({ restoreId }) => restoreId === meant?.restoreId);
}

/**
 * The subject of the last restore or undo. Undefined where the log has none since: a killed one is not in it.
 */
async function lastRestored(log: AuditLog, since: string): Promise<string[] | undefined> {
  const entries = await log.list({ kinds: ['restore', 'undo'] });
  // A drill's copies are gone when it ends, and nothing was kept for them.
  const done = entries.filter(
    ({ outcome, volume = '' }) =>
      (outcome === 'good' || outcome === 'partial') && !volume.startsWith(trialPrefix),
  );
  const last = done.at(-1);
  if (last === undefined || last.time < since) return undefined;
  // What was restored together has the same time.
  return done.filter(({ time }) => time === last.time).flatMap(({ volume }) => volume ?? []);
}

function keptOfOther(names: readonly string[], { name, keptAt }: UndoRecord): AppError {
  return new AppError('not-found', `Nothing is kept of the last restore, of ${names.map(quote).join(', ')}`, {
    detail: `What was in ${quote(name)} before ${localTime(keptAt)} is.`,
    hint: `Name the volume to have that back: holdfast undo ${name}`,
  });
}

function nameOf(what: string): string {
  const target = parseTarget(what);
  return target.kind === 'path' ? path.resolve(target.path) : target.name;
}

function nothingKept(what: string | undefined): AppError {
  return new AppError(
    'not-found',
    what === undefined ? 'Nothing is kept for an undo' : `Nothing is kept for an undo of ${quote(what)}`,
    {
      hint: 'Restores save what they replace as a snapshot too: "holdfast snapshots --tag before-restore" lists them.',
    },
  );
}

function ledAway({ name, root }: UndoRecord): AppError {
  const place = quote(toText(root));
  return new AppError(
    'conflict',
    `Cannot undo the restore of ${quote(name)}: a symbolic link leads from it to another place now`,
    {
      detail: `It was restored in ${place}, which is not what has this name now.`,
      hint: `Let the link lead to ${place} again. What was there before is a snapshot too: "holdfast snapshots --tag before-restore" lists it.`,
    },
  );
}

function notThere({ name, stage }: UndoRecord): AppError {
  return new AppError('not-found', `What was kept of ${quote(name)} is not there any more`, {
    detail: `It was in "${stage}".`,
    hint: 'Restores save what they replace as a snapshot too: "holdfast snapshots --tag before-restore" lists them.',
  });
}

/** The changes as seen from the live data, as for a restore. */
async function changesOf(record: UndoRecord, options: JobOptions): Promise<RestoreChanges> {
  const kept = liveEntries({ way: 'direct', root: `${record.stage}/new` }, options);
  const live = liveEntries({ way: 'direct', root: record.root }, options);
  const changes = compareTrees(
    { before: kept, after: live },
    { isSameContent: (one, other) => one.mtimeNs === other.mtimeNs, comparesXattrs: true },
  );
  return await summarize(changes, record.keptAt);
}

async function refuseChanged(stateDir: string, records: readonly UndoRecord[]): Promise<void> {
  const now = await listUndoRecords(stateDir);
  for (const { id, inode, name } of records) {
    if (now.find((record) => record.id === id)?.inode === inode) continue;
    throw new AppError('conflict', `${quote(name)} has been restored or undone meanwhile`, {
      hint: 'Look at it, and run the undo again.',
    });
  }
}
