import { availableParallelism } from 'node:os';
import { workerModule } from '../../lib/worker-module.ts';
import { isAppError } from '../../model/errors.ts';
import { loadIndexFile } from '../blob-index/index-file.ts';
import type { IndexRepairReport, UnreadablePack } from '../requests.ts';
import type { RestoreWorkerData } from '../restore/restore-task.ts';
import type { StoredFile } from '../stores/store.ts';
import { WorkerPool } from '../workers/worker-pool.ts';
import { IndexRewriter, removeFiles, type RepairWork, tellProgress, throwIfStopped } from './repair-work.ts';
import type { HeaderResult, HeaderTask, HeaderTaskResult } from './pack-headers.ts';
import { digestOf, type IndexSurvey, surveyIndex } from './survey-index.ts';

/**
 * Makes the index agree with the packs. Correct entries stay. New index files are durable and read back
 * before any old one is removed; a kill leaves both, which is harmless. A pack with an unreadable header
 * keeps its index entry, the only source on its content.
 */
export async function repairIndex(
  work: RepairWork,
  { readAllPacks }: { readonly readAllPacks: boolean },
): Promise<IndexRepairReport> {
  const stored = await work.codec.store.list('data', { signal: work.signal });
  const survey = await surveyIndex(work, new Map(stored.map(({ name, sizeBytes }) => [name, sizeBytes])));
  const findings = new Findings(survey);
  const rewriter = new IndexRewriter(work);
  await readHeaders(work, chooseDoubtful(stored, survey, readAllPacks), async (header) => {
    if (findings.judge(header) && 'blobs' in header)
      await rewriter.add({ id: header.packId, blobs: header.blobs });
  });
  const replaced = [...new Set([...survey.staleFiles, ...(await filesNaming(work, findings.overruled))])];
  await keepWhatIsRight(work, { replaced, findings, survey, rewriter });
  await rewriter.finish();
  const gone = [...survey.damagedFiles, ...replaced].filter((name) => !rewriter.names.has(name));
  if (!work.dryRun) await removeFiles(work, 'index', gone);
  return {
    dryRun: work.dryRun,
    damagedIndexFiles: survey.damagedFiles,
    addedPacks: findings.added.toSorted(),
    correctedPacks: findings.corrected.toSorted(),
    missingPacks: [...survey.missing].toSorted(),
    unreadablePacks: findings.unreadable.toSorted((a, b) => (a.packId < b.packId ? -1 : 1)),
    replacedIndexFiles: gone,
    packs: stored.length - findings.unreadable.filter(({ isIndexed }) => !isIndexed).length,
  };
}

/** The packs whose headers must be read. */
function chooseDoubtful(
  stored: readonly StoredFile[],
  { sound, doubtful }: IndexSurvey,
  readAllPacks: boolean,
): readonly StoredFile[] {
  return readAllPacks ? stored : stored.filter(({ name }) => !sound.has(name) || doubtful.has(name));
}

/** Compares the headers with the index files. */
class Findings {
  readonly #survey: IndexSurvey;
  readonly added: string[] = [];
  readonly corrected: string[] = [];
  readonly unreadable: UnreadablePack[] = [];
  /** Packs whose entries all index files must drop, because the header is authoritative. */
  readonly overruled = new Set<string>();

  constructor(survey: IndexSurvey) {
    this.#survey = survey;
  }

  /** True when the index must take over the header's content. */
  judge(header: HeaderResult): boolean {
    const { sound, doubtful } = this.#survey;
    const { packId } = header;
    const isDoubtful = doubtful.has(packId);
    const said = sound.get(packId)?.digest;
    const isIndexed = isDoubtful || said !== undefined;
    if (!('blobs' in header)) {
      this.unreadable.push({ packId, message: header.message, isIndexed });
      return false;
    }
    if (!isDoubtful && said === digestOf(header.blobs)) return false;
    this.overruled.add(packId);
    (isIndexed ? this.corrected : this.added).push(packId);
    return true;
  }
}

/** Once all headers are read, an index file that looked correct may turn out to be wrong. */
async function filesNaming(work: RepairWork, packs: ReadonlySet<string>): Promise<string[]> {
  if (packs.size === 0) return [];
  const found: string[] = [];
  for (const { name } of await work.codec.store.list('index', { signal: work.signal })) {
    const named = await packsOf(work, name);
    if (named.some(({ id }) => packs.has(id))) found.push(name);
  }
  return found;
}

interface Keeping {
  readonly replaced: readonly string[];
  readonly findings: Findings;
  readonly survey: IndexSurvey;
  readonly rewriter: IndexRewriter;
}

/** Writes again the correct entries of the removed index files, and those that no other file has. */
async function keepWhatIsRight(work: RepairWork, parts: Keeping): Promise<void> {
  const { replaced, findings, survey, rewriter } = parts;
  const settled = new Set([...survey.missing, ...findings.overruled]);
  for (const name of replaced) {
    if (rewriter.names.has(name)) continue;
    for (const pack of await packsOf(work, name)) {
      const sayer = survey.sound.get(pack.id)?.file ?? name;
      if (settled.has(pack.id) || sayer !== name) continue;
      settled.add(pack.id);
      await rewriter.add(pack);
    }
  }
}

async function packsOf(work: RepairWork, name: string): ReturnType<typeof loadIndexFile> {
  try {
    return await loadIndexFile(work.codec, name, { signal: work.signal });
  } catch (error) {
    // These are read again from their packs.
    if (isAppError(error, 'integrity') || isAppError(error, 'not-found')) return [];
    throw error;
  }
}

const batchSize = 16;

/**
 * Reads the headers of packs with several workers, and reports them one at a time, in no particular order.
 */
async function readHeaders(
  work: RepairWork,
  packs: readonly StoredFile[],
  onHeader: (header: HeaderResult) => Promise<void>,
): Promise<void> {
  if (packs.length === 0) return;
  const batches = Array.from({ length: Math.ceil(packs.length / batchSize) }, (_, i) =>
    packs.slice(i * batchSize, (i + 1) * batchSize),
  ).values();
  const workers = Math.max(1, Math.min(8, availableParallelism(), Math.ceil(packs.length / batchSize)));
  await using pool = new WorkerPool<HeaderTask, HeaderTaskResult>({
    module: workerModule('./header-worker', import.meta.url),
    workers,
    workerData: { store: work.address, masterKey: work.masterKey } satisfies RestoreWorkerData,
  });
  let done = 0;
  let telling = Promise.resolve();
  const tellAll = async (headers: readonly HeaderResult[]): Promise<void> => {
    for (const header of headers) await onHeader(header);
    done += headers.length;
    tellProgress(work, { phase: 'reading headers', done, total: packs.length });
  };
  const readNext = async (): Promise<void> => {
    for (const batch of batches) {
      throwIfStopped(work);
      const { headers } = await pool.run({ packs: batch });
      telling = telling.then(() => tellAll(headers));
      await telling;
    }
  };
  await Promise.all(Array.from({ length: workers * 2 }, readNext));
}
