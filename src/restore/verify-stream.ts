import type { StreamData } from '../hosts/host.ts';
import { mapOwner } from '../lib/map-owner.ts';
import { readTar } from '../lib/tar/read-tar.ts';
import { type ByteString, toPrintable } from '../model/byte-string.ts';
import type { Entry } from '../model/entry.ts';
import { AppError } from '../model/errors.ts';
import type { SaveProblem } from '../model/snapshot.ts';
import type { SnapshotEntry } from '../repository/index.ts';
import { dataOnly } from '../snapshots/index.ts';
import type { JobOptions, Protection } from '../activity/index.ts';
import type { RestorePlan } from './restore-plan.ts';
import { isStagePath } from '../lib/stage-names.ts';

export interface Streamed {
  readonly plan: RestorePlan;
  readonly data: StreamData;
  readonly excused: readonly SaveProblem[];
}

/** Reads everything back and compares it byte by byte. Times are not compared: engines bend those that they cannot keep. */
export async function verifyStreamed(
  parts: Protection,
  { plan, data, excused }: Streamed,
  options: JobOptions,
): Promise<void> {
  const { signal } = options;
  const repository = await parts.repository();
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

/** The entries of a walk by their path. Holds only what an engine that streams in another order has not come to yet. */
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

/** Compares two streams whose chunks end in different places. */
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
