import type { StreamData } from '../hosts/host.ts';
import type { TarSource } from '../lib/tar/tar-member.ts';
import { mapOwner } from '../lib/map-owner.ts';
import { writeTar } from '../lib/tar/write-tar.ts';
import type { ByteString } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import type { OwnerMap } from '../model/owner-map.ts';
import { quote } from '../model/quote.ts';
import type { SaveProblem } from '../model/snapshot.ts';
import { tarSources } from '../snapshots/index.ts';
import type { FillResult } from './fill-directory.ts';
import { isEmptyData } from '../quiesce/index.ts';
import { nameOf } from '../lib/on-disk.ts';
import { verifyStreamed } from './verify-stream.ts';
import { hintOfRoot } from './hint-of-root.ts';
import type { JobOptions, Protection } from '../activity/index.ts';
import type { RestorePlan } from './restore-plan.ts';

export interface StreamWork {
  readonly plan: RestorePlan;
  readonly data: StreamData;
  readonly mustBeEmpty: boolean;
  readonly name: string;
}

/** Fills a volume through its engine, and reads it back to see that it is what the snapshot has. */
export async function fillStream(
  parts: Protection,
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
  const sources = counted(shortEnough(await placedSources(parts, plan, options), onProblem), sent);
  const onSkipped = (entry: { path: ByteString }, message: string): void =>
    onProblem({ path: entry.path, message });
  await data.writeTar('', writeTar(sources, { signal: options.signal, onProblem, onSkipped }), {
    signal: options.signal,
  });
  if (plan.path === '') await verifyStreamed(parts, { plan, data, excused: sent.problems }, options);
  return sent;
}

/** An engine looks up what an archive names in one call, below where it has mounted the volume: 4,095 bytes are all that it may have. */
const mostPathBytes = 4000;

/** Without what no engine could take, which would end all of it. */
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
async function placedSources(
  parts: Protection,
  plan: RestorePlan,
  options: JobOptions,
): Promise<AsyncIterable<TarSource>> {
  const sources = tarSources(
    { repository: await parts.repository(), snapshot: plan.snapshot },
    plan.path,
    options,
  );
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
export async function readThrough(parts: Protection, plan: RestorePlan, options: JobOptions): Promise<void> {
  const repository = await parts.repository();
  const { signal } = options;
  for await (const entry of repository.walk(plan.snapshot, plan.path, { signal })) {
    if (entry.type === 'file' && entry.hardLinkTo === undefined)
      await drain(repository.readFile(plan.snapshot, entry, { signal }));
  }
}

async function drain(chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of chunks);
}
