import type { JobOptions } from '../activity/index.ts';
import type { StreamData } from '../hosts/host.ts';
import { mapOwner } from '../lib/map-owner.ts';
import { nameOf } from '../lib/on-disk.ts';
import { isStagePath } from '../lib/stage-names.ts';
import { readTar } from '../lib/tar/read-tar.ts';
import type { TarSource } from '../lib/tar/tar-member.ts';
import { writeTar } from '../lib/tar/write-tar.ts';
import { type ByteString, toPrintable } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { AppError } from '../model/errors.ts';
import type { OwnerMap } from '../model/owner-map.ts';
import { quote } from '../model/quote.ts';
import type { SaveProblem } from '../model/snapshot.ts';
import { isEmptyData } from '../quiesce/index.ts';
import type { Repository, SnapshotEntry } from '../repository/index.ts';
import { tarSources, dataOnly } from '../snapshots/index.ts';
import type { FillResult } from './fill-directory.ts';
import type { RestorePlan } from './restore-plan.ts';

interface StreamWork {
  readonly plan: RestorePlan;
  readonly data: StreamData;
  readonly mustBeEmpty: boolean;
  readonly name: string;
}

/** Fills a volume through its engine, and reads it back to compare it with the snapshot. */
export async function fillStream(
  repository: Repository,
  work: StreamWork,
  options: JobOptions,
): Promise<FillResult> {
  const { plan, data, mustBeEmpty, name } = work;
  const isEmpty = await isEmptyData(data, options);
  if (mustBeEmpty && !isEmpty) {
    throw new AppError('conflict', `The storage of ${quote(name)} holds data already`, {
      hint: `Look at it. Empty it, then restore again, or restore beside it: --to ${name}-restored.`,
    });
  }
  if (!isEmpty && plan.entry.type === 'dir') {
    throw new AppError(
      'unsupported',
      `Cannot replace a folder in ${quote(name)}: it is reached through the engine only, which cannot delete`,
      {
        hint: hintOfRoot(`Restore it beside: --to ${name}-restored, or --to ./DIRECTORY.`),
      },
    );
  }
  const sent: FillResult & { problems: SaveProblem[]; files: number; bytes: number } = {
    files: 0,
    bytes: 0,
    problems: [],
  };
  const onProblem = ({ path, message }: { path: ByteString; message: string }): void =>
    void sent.problems.push({ path, reason: 'unreadable', message });
  const sources = counted(shortEnough(placedSources(repository, plan, options), onProblem), sent);
  const onSkipped = (entry: { path: ByteString }, message: string): void =>
    onProblem({ path: entry.path, message });
  await data.writeTar('', writeTar(sources, { signal: options.signal, onProblem, onSkipped }), {
    signal: options.signal,
  });
  if (plan.path === '') await verifyStreamed(repository, { plan, data, excused: sent.problems }, options);
  return sent;
}

/**
 * An engine looks up each archive name in one call, below its mount point of the volume, within 4,095 bytes.
 */
const mostPathBytes = 4000;

/** Leaves out names that no engine could take, because one would end the whole stream. */
async function* shortEnough(
  sources: AsyncIterable<TarSource>,
  leaveOut: (left: { path: ByteString; message: string }) => void,
): AsyncGenerator<TarSource, void, undefined> {
  for await (const source of sources) {
    const { path, hardLinkTo = '' } = source.entry;
    if (path.length <= mostPathBytes && hardLinkTo.length <= mostPathBytes) yield source;
    else
      leaveOut({
        path,
        message: 'has a path that is too long for the engine: restore it with --to DIRECTORY',
      });
  }
}

/** The whole snapshot as it is; a part where it came from, or under its own name. */
function placedSources(
  repository: Repository,
  plan: RestorePlan,
  options: JobOptions,
): AsyncIterable<TarSource> {
  const sources = tarSources({ repository, snapshot: plan.snapshot }, plan.path, options);
  const owned = plan.mapOwner === undefined ? sources : withOwners(sources, plan.mapOwner);
  return plan.path === '' ? owned : renamed(owned, plan.keepsPlace ? plan.path : nameOf(plan.path));
}

async function* withOwners(
  sources: AsyncIterable<TarSource>,
  map: OwnerMap,
): AsyncGenerator<TarSource, void, undefined> {
  for await (const { entry, open } of sources) yield { entry: mapOwner(entry, map), open };
}

async function* renamed(
  sources: AsyncIterable<TarSource>,
  name: ByteString,
): AsyncGenerator<TarSource, void, undefined> {
  const place = (path: ByteString): ByteString => (path === '' ? name : `${name}/${path}`);
  for await (const { entry, open } of sources) {
    const link = entry.hardLinkTo === undefined ? {} : { hardLinkTo: place(entry.hardLinkTo) };
    yield { entry: { ...entry, path: place(entry.path), ...link }, open };
  }
}

async function* counted(
  sources: AsyncIterable<TarSource>,
  into: { files: number; bytes: number },
): AsyncGenerator<TarSource, void, undefined> {
  for await (const source of sources) {
    if (source.entry.type === 'file') {
      into.files++;
      into.bytes += source.entry.hardLinkTo === undefined ? source.entry.size : 0;
    }
    yield source;
  }
}

/** Reads and verifies every byte that the plan needs, before anything is removed for it. */
export async function readThrough(
  repository: Repository,
  plan: RestorePlan,
  options: JobOptions,
): Promise<void> {
  const { signal } = options;
  for await (const entry of repository.walk(plan.snapshot, plan.path, { signal })) {
    if (entry.type === 'file' && entry.hardLinkTo === undefined)
      await drain(repository.readFile(plan.snapshot, entry, { signal }));
  }
}

async function drain(chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of chunks);
}

interface Streamed {
  readonly plan: RestorePlan;
  readonly data: StreamData;
  readonly excused: readonly SaveProblem[];
}

/** Compares all data byte by byte. Times are not compared: engines round those that they cannot store. */
async function verifyStreamed(
  repository: Repository,
  { plan, data, excused }: Streamed,
  options: JobOptions,
): Promise<void> {
  const { signal } = options;
  const entries = repository.walk(plan.snapshot, '', { signal });
  const expected = new ExpectedEntries(entries);
  for await (const { entry, body } of readTar(await data.readTar('', { signal }), { signal })) {
    if (entry.path === '' || isStagePath(entry.path)) continue;
    const wanted = await expected.take(entry.path);
    if (wanted === undefined || !isSameThing(mapOwner(wanted, plan.mapOwner), entry))
      throw notAsWritten(entry.path);
    if (entry.type !== 'file' || entry.hardLinkTo !== undefined) continue;
    const content = dataOnly(repository.readFile(plan.snapshot, wanted, { signal }), entry);
    if (!(await isSameStream(content, body))) throw notAsWritten(entry.path);
  }
  const isExcused = new Set(excused.map((problem) => problem.path));
  for await (const missing of expected.rest()) {
    if (missing.path !== '' && missing.type !== 'socket' && !isExcused.has(missing.path))
      throw notAsWritten(missing.path);
  }
}

/** A walk's entries by path. Holds only those that an engine with another order has not reached yet. */
class ExpectedEntries {
  readonly #entries: AsyncIterator<SnapshotEntry>;
  readonly #passed = new Map<ByteString, SnapshotEntry>();

  constructor(entries: AsyncIterable<SnapshotEntry>) {
    this.#entries = entries[Symbol.asyncIterator]();
  }

  async take(path: ByteString): Promise<SnapshotEntry | undefined> {
    const passed = this.#passed.get(path);
    if (this.#passed.delete(path)) return passed;
    for (let next = await this.#entries.next(); next.done !== true; next = await this.#entries.next()) {
      if (next.value.path === path) return next.value;
      this.#passed.set(next.value.path, next.value);
    }
    return undefined;
  }

  async *rest(): AsyncGenerator<SnapshotEntry, void, undefined> {
    yield* this.#passed.values();
    for (let next = await this.#entries.next(); next.done !== true; next = await this.#entries.next())
      yield next.value;
  }
}

function isSameThing(wanted: SnapshotEntry, found: Entry): boolean {
  if (wanted.type !== found.type || wanted.linkTarget !== found.linkTarget) return false;
  if (wanted.mode !== found.mode || wanted.uid !== found.uid || wanted.gid !== found.gid) return false;
  return found.type !== 'file' || found.hardLinkTo !== undefined || wanted.size === found.size;
}

/** Compares two streams whose chunk borders differ. */
async function isSameStream(
  first: AsyncIterable<Uint8Array>,
  second: AsyncIterable<Uint8Array>,
): Promise<boolean> {
  const rest = first[Symbol.asyncIterator]();
  let held: Uint8Array = new Uint8Array(0);
  for await (let chunk of second) {
    while (chunk.length > 0) {
      if (held.length === 0) {
        const next = await rest.next();
        if (next.done === true) return false;
        held = next.value;
      }
      const length = Math.min(held.length, chunk.length);
      if (Buffer.compare(held.subarray(0, length), chunk.subarray(0, length)) !== 0) return false;
      held = held.subarray(length);
      chunk = chunk.subarray(length);
    }
  }
  for (let next = await rest.next(); next.done !== true; next = await rest.next())
    if (next.value.length > 0) return false;
  return held.length === 0;
}

function notAsWritten(path: ByteString): AppError {
  return new AppError(
    'integrity',
    `What the engine has written is not what the snapshot has, at "${toPrintable(path)}"`,
    {
      hint: 'Run "holdfast check --read-data", and look at the engine\'s log.',
    },
  );
}

/**
 * The hint for what an engine cannot do with a volume's data. A member of the group "docker" may use the
 * engine but not the data itself, which root may. Root has a state folder of its own, so the repository has
 * to be named.
 */
export function hintOfRoot(otherwise: string, uid = process.getuid?.()): string {
  if (uid === 0) return otherwise;
  return `As root, Holdfast reaches the data itself and restores it in place: sudo holdfast --repo LOCATION --password-file KEY restore …. Or without: ${otherwise}`;
}
