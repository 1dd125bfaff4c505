import path from 'node:path';
import { openSources, type SnapshotAccess } from '../../snapshots/index.ts';
import { knownError } from '../../lib/known-error.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { SaveProblem, Snapshot, SnapshotSummary } from '../../model/snapshot.ts';
import { checkTimeZone } from '../../model/local-time.ts';
import { takeLease } from '../../leases/index.ts';
import type { LoggedState, JobOptions } from '../../activity/index.ts';
import { compileNamePattern } from './archive-name.ts';
import { findArchives, type FoundArchive } from './find-archives.ts';
import { Archive } from './read-archive.ts';
import { type ArchiveMeans, saveArchive } from './save-archive.ts';
import { surveyArchive, type VolumePart, volumesIn } from './survey-archive.ts';

export interface ImportArchivesRequest {
  /** Archives, or folders with archives. */
  readonly paths: readonly string[];
  /** The volume of all of them, regardless of their names. */
  readonly volume?: string | undefined;
  /** How their names are written: `{volume}-%Y%m%d-%H%M%S`. */
  readonly namePattern?: string | undefined;
  /** Time zone of the times in their names; undefined means this machine's. */
  readonly timeZone?: string | undefined;
  /** Maps names in the archives to volumes. */
  readonly renames?: ReadonlyMap<string, string> | undefined;
  readonly tags: readonly string[];
  readonly dryRun: boolean;
}

export interface ArchiveOutcome {
  readonly archive: string;
  /** Undefined when the archive's volume is unknown. */
  readonly volume: string | undefined;
  /** From the archive's name, RFC 3339. */
  readonly time: string | undefined;
  /** `present` was imported before. In a dry run, `imported` means that it would be. */
  readonly outcome: 'imported' | 'partial' | 'present' | 'refused';
  readonly snapshot: Snapshot | undefined;
  readonly summary: SnapshotSummary | undefined;
  readonly problems: readonly SaveProblem[];
  readonly error: AppError | undefined;
}

export interface ImportArchivesReport {
  readonly dryRun: boolean;
  /** Oldest first; unknown archives at the end. */
  readonly outcomes: readonly ArchiveOutcome[];
}

const importedTag = 'imported';

type ImportAccess = SnapshotAccess & LoggedState;

type ImportMeans = ArchiveMeans & LoggedState;

/** Turns archives into snapshots with their dates, oldest first. One that fails does not stop the others. */
export async function importArchives(
  access: ImportAccess,
  request: ImportArchivesRequest,
  options: JobOptions,
): Promise<ImportArchivesReport> {
  const { dryRun, namePattern, timeZone } = request;
  const { found, refused } = await findArchives({
    paths: request.paths,
    volume: request.volume,
    pattern: namePattern === undefined ? undefined : compileNamePattern(namePattern),
    timeZone: timeZone === undefined ? undefined : checkTimeZone(timeZone),
  });
  const { stateDir } = access;
  // Two imports at once would import everything twice.
  await using _alone = await takeLease({
    stateDir,
    identity: 'import archives',
    name: 'archives',
    action: 'import',
  });
  const outcomes: ArchiveOutcome[] = [];
  for (const archive of found) {
    const done = await tryToImport(access, { request, archive }, options);
    outcomes.push(...done);
    if (done.some(({ error }) => error !== undefined && endsAll(error))) break;
  }
  const unread = refused.map(({ path: file, error }) => refusal({ path: file }, error));
  return { dryRun, outcomes: [...outcomes, ...unread] };
}

/** For errors that would only repeat with the next archive. */
function endsAll({ code }: AppError): boolean {
  return code === 'cancelled' || code === 'full' || code === 'read-only' || code === 'wrong-password';
}

interface ImportWork {
  readonly request: ImportArchivesRequest;
  readonly archive: FoundArchive;
}

async function tryToImport(
  access: ImportAccess,
  work: ImportWork,
  options: JobOptions,
): Promise<ArchiveOutcome[]> {
  const outcomes: ArchiveOutcome[] = [];
  try {
    await using archive = await Archive.open(work.archive.path);
    for await (const outcome of importOpened(access, { ...work, opened: archive }, options))
      outcomes.push(outcome);
  } catch (error) {
    const name = path.basename(work.archive.path);
    const known =
      options.signal?.aborted === true
        ? new AppError('cancelled', 'Cancelled', { cause: error })
        : named(knownError(error, `Cannot import ${quote(name)}`), name);
    // Its earlier volumes are saved, and stay so.
    outcomes.push(refusal(work.archive, known));
  }
  return outcomes;
}

/** Adds the archive's name to an error. */
function named(error: AppError, name: string): AppError {
  if (error.message.includes(quote(name))) return error;
  const { code, message, detail, hint } = error;
  return new AppError(code, `Cannot import ${quote(name)}: ${message}`, { detail, hint, cause: error });
}

async function* importOpened(
  access: ImportAccess,
  { request, archive, opened }: ImportWork & { readonly opened: Archive },
  options: JobOptions,
): AsyncGenerator<ArchiveOutcome, void, undefined> {
  const { signal } = options;
  const { stateDir, log } = access;
  const means = { ...(await openSources(access)), stateDir, log };
  const { repository } = means;
  const digest = await opened.digest(signal);
  const present = (await repository.listSnapshots({ signal })).filter(({ tags }) =>
    tags.some((tag) => tag.startsWith(tagOf(digest))),
  );
  if (isComplete(present, digest)) return yield* present.map((snapshot) => presence(archive, snapshot));
  const survey = await surveyArchive(opened.members(digest, { signal }));
  const volumes = volumesIn(survey, { name: archive.name, volume: request.volume });
  const tag = volumes.length === 1 ? tagOf(digest) : `${tagOf(digest)}-of-${volumes.length}`;
  const tags = [...new Set([importedTag, tag, ...request.tags])];
  for (const part of volumes) {
    const volume = { ...part, name: request.renames?.get(part.name) ?? part.name };
    const before = present.find((snapshot) => snapshot.name === volume.name);
    const work = { request, archive, opened, digest, volume, tags };
    yield before === undefined ? await importVolume(means, work, options) : presence(archive, before);
  }
}

/** Identifies an archive even after it was renamed. */
function tagOf(digest: string): string {
  return `archive-${digest.slice(0, 16)}`;
}

/** With several volumes, the tag includes their number, because an import may have stopped between them. */
function isComplete(present: readonly Snapshot[], digest: string): boolean {
  const start = tagOf(digest);
  const names = new Set(present.map(({ name }) => name));
  return present.some(({ tags }) =>
    tags.some(
      (tag) =>
        tag === start ||
        (tag.startsWith(`${start}-of-`) && names.size >= Number(tag.slice(start.length + 4))),
    ),
  );
}

interface VolumeWork extends ImportWork {
  readonly opened: Archive;
  readonly digest: string;
  readonly volume: VolumePart;
  readonly tags: readonly string[];
}

async function importVolume(
  means: ImportMeans,
  { request, archive, opened, digest, volume, tags }: VolumeWork,
  options: JobOptions,
): Promise<ArchiveOutcome> {
  const { dryRun } = request;
  const asked = { archive: opened, digest, volume, tags, timeMs: archive.timeMs, dryRun };
  const { snapshot, summary, problems } = await saveArchive(means, asked, options);
  if (snapshot !== undefined) {
    await means.log.record([
      {
        kind: 'import',
        outcome: problems.length > 0 ? 'partial' : 'good',
        volume: volume.name,
        snapshot: snapshot.id,
        repository: means.repository.id,
        message: `From ${quote(path.basename(archive.path))}`,
      },
    ]);
  }
  return {
    ...basics(archive),
    volume: volume.name,
    outcome: problems.length > 0 ? 'partial' : 'imported',
    snapshot,
    summary,
    problems,
    error: undefined,
  };
}

function presence(archive: FoundArchive, snapshot: Snapshot): ArchiveOutcome {
  const { name, summary } = snapshot;
  return {
    ...basics(archive),
    ...{ volume: name, outcome: 'present', snapshot, summary, problems: [], error: undefined },
  };
}

function refusal(
  archive: Pick<FoundArchive, 'path'> & Partial<FoundArchive>,
  error: AppError,
): ArchiveOutcome {
  return {
    ...basics(archive),
    volume: archive.name?.volume,
    outcome: 'refused',
    snapshot: undefined,
    summary: undefined,
    problems: [],
    error,
  };
}

function basics({ path: file, timeMs }: Pick<FoundArchive, 'path'> & Partial<FoundArchive>) {
  return { archive: file, time: timeMs === undefined ? undefined : new Date(timeMs).toISOString() };
}
