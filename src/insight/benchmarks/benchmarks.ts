import { accessSync, constants, statfsSync } from 'node:fs';
import { totalmem } from 'node:os';
import type { JobOptions } from '../../activity/index.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { Host, VolumeData } from '../../hosts/host.ts';
import type { DirectoryHandle } from '../../lib/directory-handle.ts';
import { filesystemType } from '../../lib/filesystem-type.ts';
import { knownError } from '../../lib/known-error.ts';
import { openTrusted } from '../../lib/open-trusted.ts';
import { requireAnswer } from '../../lib/require-answer.ts';
import { runProgram } from '../../lib/run-program.ts';
import { takeLeases, volumeIdentity } from '../../leases/index.ts';
import { toPath } from '../../model/byte-string.ts';
import { AppError, errnoOf, errorMessage, isAppError } from '../../model/errors.ts';
import { parseJson } from '../../model/parse-json.ts';
import { quote } from '../../model/quote.ts';
import { formatSize, formatWholeSize, grouped } from '../../model/size.ts';
import type { Volume } from '../../model/volume.ts';
import { findVolume } from '../../volumes/index.ts';
import { makeBenchFolder } from './bench-folder.ts';
import { DiskTest, rateOfDd } from './disk-test.ts';
import { type BenchMeans, type Change, compareRates, usualRates, verdictOf, warningsOf } from './judge.ts';
import {
  type BenchProfile,
  benchProfiles,
  type Measure,
  measureFacts,
  type MeasureName,
} from '../../model/benchmark.ts';
import { roomOf } from './room.ts';
import { measureSmallFiles, smallFileCount } from './small-files.ts';
import { measuresNameless, openTestFile, removeLeftovers } from './test-file.ts';

export interface BenchRequest {
  /** One volume, or two to see side by side. */
  readonly volumes: readonly string[];
  /** Empty for all. */
  readonly profiles: readonly BenchProfile[];
  /** About 15 seconds for a volume, instead of a minute and a half. */
  readonly isQuick: boolean;
  /** Undefined takes 1 GiB, or 256 MiB for a quick one. */
  readonly sizeBytes?: number | undefined;
}

export interface VolumeBenchmark extends BenchMeans {
  readonly volume: string;
  readonly driver: string;
  /** RFC 3339. */
  readonly ranAt: string;
  readonly measures: readonly Measure[];
  /** What `dd if=/dev/zero bs=1M` says of the same volume, in bytes a second; undefined without dd. */
  readonly ddRate: number | undefined;
  /** One sentence; undefined where no commits were measured. */
  readonly verdict: string | undefined;
  /** Why figures may not be what they seem. */
  readonly warnings: readonly string[];
  /** Beside the middle of the last runs with the same means; undefined for the first. */
  readonly past:
    | { readonly runs: number; readonly since: string; readonly changes: readonly Change[] }
    | undefined;
  /** fio's own documents, by what was measured. */
  readonly fio: Readonly<Partial<Record<MeasureName, unknown>>>;
}

export interface BenchReport {
  readonly volumes: readonly VolumeBenchmark[];
  /** The second beside the first; empty for one volume. */
  readonly comparison: readonly Change[];
}

/** How fast volumes are, for what applications do with them. */
export interface Benchmarks {
  /**
   * Measures volumes one after the other, and remembers the figures. Leaves nothing in them, even when it
   * is killed: what it writes has no name, or lies in a hidden folder that the next recovery removes.
   * `full` when a volume has less room than three times the size, `unsupported` where its data cannot be
   * reached as a directory.
   */
  run(request: BenchRequest, options?: JobOptions): Promise<BenchReport>;
}

export interface BenchmarkAccess {
  readonly stateDir: string;
  catalog(): Promise<Catalog>;
  host(): Promise<Host>;
}

/** Opens nothing by itself. `run` throws `usage` for a volume that is named twice, before it measures any. */
export function openBenchmarks(access: BenchmarkAccess): Benchmarks {
  return {
    async run(request, options = {}) {
      const { volumes: names, profiles } = request;
      if (new Set(names).size !== names.length) throw new AppError('usage', 'The same volume is named twice');
      const volumes: VolumeBenchmark[] = [];
      const wanted = profiles.length === 0 ? benchProfiles : profiles;
      // What the second volume is refused for must not cost the minutes of the first.
      if (names.length > 1) for (const name of names) await lookAhead(access, { name, request }, options);
      for (const name of names)
        volumes.push(await benchmark(access, name, { ...request, profiles: wanted }, options));
      const [first, second] = volumes;
      const comparison = second === undefined ? [] : compareRates(second.measures, first?.measures ?? []);
      return { volumes, comparison };
    },
  };
}

async function lookAhead(
  access: BenchmarkAccess,
  { name, request }: { readonly name: string; readonly request: BenchRequest },
  { signal }: JobOptions,
): Promise<void> {
  const host = await access.host();
  await findVolume(host, name, { action: 'measure the speed of', signal });
  await using data = await host.openData(name, { signal, write: true });
  using root = await openWritable(data, { name, signal });
  refuseWithoutRoom(await roomOf(root, { name, signal }), sizeOf(request));
  refuseWithoutFiles(root, request);
}

const defaultSizeBytes = { quick: 256 << 20, full: 1 << 30 };

function sizeOf({ sizeBytes, isQuick }: BenchRequest): number {
  return sizeBytes ?? (isQuick ? defaultSizeBytes.quick : defaultSizeBytes.full);
}

/** None where they are not measured. */
function fileCountOf(request: BenchRequest): number {
  const { profiles, isQuick } = request;
  if (profiles.length > 0 && !profiles.includes('files')) return 0;
  return smallFileCount(sizeOf(request), { isQuick });
}

async function benchmark(
  access: BenchmarkAccess,
  name: string,
  request: BenchRequest,
  options: JobOptions,
): Promise<VolumeBenchmark> {
  const { signal } = options;
  const host = await access.host();
  const volume = await findVolume(host, name, { action: 'measure the speed of', signal });
  const places = [{ kind: 'volume', name } as const];
  const catalog = await access.catalog();
  const scope = { ...access, catalog };
  await using _lease = await takeLeases(scope, { places, work: 'measure the speed of' }, options);
  await using data = await host.openData(name, { signal, write: true });
  const hostIdentity = (await host.info({ signal })).identity;
  const identity = volumeIdentity(catalog, { hostIdentity, name });
  try {
    const where = { stateDir: access.stateDir, hostIdentity, volume: name, identity };
    const measured = await measureData(data, { volume, request, where }, options);
    const past = pastOf(measured, (profile) =>
      catalog.listBenchmarks({ volumeIdentity: identity, profile, limit: rememberedRuns }),
    );
    try {
      for (const profile of request.profiles) {
        const result = { ...meansOf(measured), measures: ofProfile(measured.measures, profile) };
        catalog.recordBenchmark({
          volumeIdentity: identity,
          volumeName: name,
          profile,
          ranAt: measured.ranAt,
          result: JSON.stringify(result),
        });
      }
    } catch (error) {
      // What was measured is worth more than its memory.
      if (!isAppError(error)) throw error;
      options.onNote?.(`The figures of ${quote(name)} could not be remembered: ${errorMessage(error)}`);
    }
    return { ...measured, past };
  } catch (error) {
    throw knownError(error, `Cannot measure the speed of ${quote(name)}`);
  }
}

interface Target {
  readonly volume: Volume;
  readonly request: BenchRequest;
  /** For the journal of what it makes. */
  readonly where: Parameters<typeof makeBenchFolder>[1];
}

type Measured = Omit<VolumeBenchmark, 'past'>;

async function measureData(data: VolumeData, target: Target, { signal }: JobOptions): Promise<Measured> {
  const { name } = target.volume;
  using root = await openWritable(data, { name, signal });
  try {
    return await measureRoot(root, target, signal);
  } catch (error) {
    // An engine asks no lease. File systems tell of such a folder as of one that is not there, or not permitted.
    if (signal?.aborted === true || root.stat().nlink > 0n) throw error;
    throw new AppError('not-found', `Volume ${quote(name)} was removed while its speed was measured`, {
      cause: error,
    });
  }
}

async function measureRoot(
  root: DirectoryHandle,
  { volume, request, where }: Target,
  signal: AbortSignal | undefined,
): Promise<Measured> {
  const { isQuick, profiles } = request;
  const sizeBytes = sizeOf(request);
  const { name } = volume;
  // It may be what takes the room.
  await removeLeftovers(root);
  refuseWithoutRoom(await roomOf(root, { name, signal }), sizeBytes);
  refuseWithoutFiles(root, request);
  const isNamed = !measuresNameless(root);
  await using own = isNamed || profiles.includes('files') ? await makeBenchFolder(root, where) : undefined;
  const place = { folder: (isNamed ? own?.directory : undefined) ?? root, isNamed };
  using file = await openTestFile(place, { sizeBytes, signal });
  const version = await fioVersion(signal);
  const disk = new DiskTest({ place, file }, { isQuick, sizeBytes, hasFio: version !== undefined, signal });
  const measures = await disk.run(profiles);
  const ddRate = await rateOfDd(place, { sizeBytes, signal });
  if (own !== undefined && profiles.includes('files'))
    measures.push(...(await measureSmallFiles(own.directory, { count: fileCountOf(request), signal })));
  const isMemory = statfsSync(toPath(root.self)).type === filesystemType.tmpfs;
  // Memory takes direct I/O, and is the page cache itself.
  const isDirect = file.isDirect && !isMemory;
  const means = { tool: version ?? 'built-in', isQuick, isDirect, sizeBytes };
  const facts = { ...means, isMemory, memoryBytes: totalmem(), idlePercent: disk.idlePercent };
  return {
    ...means,
    volume: volume.name,
    driver: volume.driver,
    ranAt: new Date().toISOString(),
    measures,
    ddRate,
    verdict: verdictOf(measures, isMemory),
    warnings: warningsOf(measures, facts),
    fio: disk.documents,
  };
}

/** The volume's root, when it can be written to; otherwise says what is in the way. */
async function openWritable(
  data: VolumeData,
  { name, signal }: { readonly name: string; readonly signal: AbortSignal | undefined },
): Promise<DirectoryHandle> {
  if (data.way === 'stream')
    throw new AppError('unsupported', `Cannot measure ${quote(name)} through its engine`, {
      hint: 'A benchmark needs the volume as a directory: run it on the machine where the engine runs, as root, and while a container uses the volume if nothing else mounts it.',
    });
  // A server that does not answer would hold this process, and with it the lease.
  await requireAnswer(data.root, { name, signal });
  using opened = new DisposableStack();
  const root = opened.use(openTrusted(data.root));
  refuseReadOnly(root, name);
  opened.move();
  return root;
}

function refuseReadOnly(root: DirectoryHandle, name: string): void {
  try {
    accessSync(toPath(root.self), constants.W_OK);
  } catch (error) {
    if (errnoOf(error) !== 'EROFS') return;
    throw new AppError('denied', `Cannot measure the speed of ${quote(name)}: it is mounted read-only`, {
      hint: 'A benchmark writes. Mount it writable, or measure another volume on the same disk.',
      cause: error,
    });
  }
}

const roomTimes = 3;
const leastBytes = 1 << 20;

function refuseWithoutRoom(room: number, sizeBytes: number): void {
  if (room >= roomTimes * sizeBytes) return;
  throw new AppError(
    'full',
    `There is room for ${formatSize(room)}, and a benchmark of ${formatWholeSize(sizeBytes)} wants three times its size`,
    {
      hint:
        room < roomTimes * leastBytes
          ? 'The smallest one, --size 1MiB, wants 3 MiB: make some room first.'
          : `Try a smaller one: --size ${Math.floor(room / roomTimes / leastBytes)}MiB.`,
    },
  );
}

/** A file system may have room for their data, and none for their names: a container could then make none. */
function refuseWithoutFiles(root: DirectoryHandle, request: BenchRequest): void {
  const count = fileCountOf(request);
  const { files, ffree } = statfsSync(toPath(root.self));
  // Those that keep no such count say 0.
  if (files === 0 || ffree >= roomTimes * count) return;
  throw new AppError(
    'full',
    `There is room for ${grouped(ffree)} more files, and a benchmark of ${grouped(count)} wants three times as many`,
    { hint: 'Leave them out: --profile database,stream,random.' },
  );
}

async function fioVersion(signal: AbortSignal | undefined): Promise<string | undefined> {
  try {
    const { stdout, status } = await runProgram('fio', ['--version'], { signal });
    return status === 0 ? stdout.trim() : undefined;
  } catch (error) {
    if (isAppError(error, 'unsupported')) return undefined;
    throw error;
  }
}

const rememberedRuns = 20;
const comparedRuns = 5;

function meansOf({ tool, isQuick, isDirect, sizeBytes }: BenchMeans): BenchMeans {
  return { tool, isQuick, isDirect, sizeBytes };
}

function ofProfile(measures: readonly Measure[], profile: BenchProfile): Measure[] {
  return measures.filter(({ name }) => measureFacts[name].profile === profile);
}

interface PastRun {
  readonly ranAt: string;
  readonly result: string;
}

function pastOf(
  measured: Measured,
  list: (profile: BenchProfile) => readonly PastRun[],
): VolumeBenchmark['past'] {
  const means = JSON.stringify(meansOf(measured));
  const comparable = benchProfiles.flatMap((profile) =>
    ofProfile(measured.measures, profile).length === 0
      ? []
      : list(profile)
          .flatMap(({ ranAt, result }) => {
            const found = parseJson(result) as (BenchMeans & { readonly measures: Measure[] }) | undefined;
            const isSame = found !== undefined && JSON.stringify(meansOf(found)) === means;
            return isSame ? [{ ranAt, measures: found.measures }] : [];
          })
          .slice(0, comparedRuns),
  );
  const changes = compareRates(measured.measures, usualRates(comparable.map(({ measures }) => measures)));
  if (changes.length === 0) return undefined;
  const times = comparable.map(({ ranAt }) => ranAt).toSorted();
  return { runs: new Set(times).size, since: times[0] ?? '', changes };
}
