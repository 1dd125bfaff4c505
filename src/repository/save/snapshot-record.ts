import { type ByteString, toText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import type { SaveProblem, SnapshotSummary } from '../../model/snapshot.ts';
import { version } from '../../lib/version.ts';
import type { TreeNode } from '../format/node.ts';
import type { SnapshotJson } from '../format/snapshot-file.ts';
import { saveConfigFolder } from './config-folder.ts';
import type { DataSave } from './data-save.ts';
import { dataParts, descriptionNode, directoryNode, plainDirectoryNode, saveRootTree } from './root-tree.ts';
import { saveDumpFolder } from './save-dump.ts';
import type { SaveScheduler } from './save-scheduler.ts';
import type { GradedTree, SaveResult, TreeToSave } from './save-types.ts';

export interface SnapshotRecord extends Omit<SaveResult, 'snapshot'> {
  /** Undefined for a dry run, and when the data could not be read. */
  readonly json: SnapshotJson | undefined;
}

interface StoredTree {
  readonly work: DataSave;
  readonly treeId: string;
  /** The snapshot's time. */
  readonly timeMs: number;
  readonly durationMs: number;
  /** Names of the volumes that could not be read. */
  readonly missing: readonly string[];
  readonly dryRun: boolean;
  readonly graded: GradedTree | undefined;
}

/** The snapshot record of a stored tree. */
export function recordOf({ work, durationMs, dryRun, graded, ...stored }: StoredTree): SnapshotRecord {
  const { tally, tree, notKept, problems } = work;
  const { bytes } = tally.read;
  const isEstimate = dryRun && tree.source.kind === 'directory';
  const summary = tally.summary(
    isEstimate ? { addedBytes: bytes, storedBytes: bytes } : work.stored,
    durationMs,
  );
  if (dryRun) return { json: undefined, summary, problems, notKept };
  if (graded === undefined) throw new AppError('failed', 'What was saved has no grade');
  return { json: describe({ ...stored, tree, summary, graded, problems }), summary, problems, notKept };
}

/** Saves the nodes above and beside the data; returns the id of the root tree. */
export async function saveTrees(work: DataSave, scheduler: SaveScheduler): Promise<string> {
  const { tree, parts, names } = work;
  const { dataTree, dataNode } = await work.finish();
  work.tally.countDirectory();
  const text = Buffer.from(`${JSON.stringify(tree.volume, undefined, 2)}\n`);
  const dataName = parts.at(-1) ?? '';
  const beside: TreeNode[] =
    tree.volume.kind === 'path' ? [] : [await saveDescription(scheduler, dataName, text)];
  const nodeAbove = (above: readonly ByteString[]): TreeNode =>
    tree.volume.kind === 'path' ? directoryNode(`/${above.join('/')}`, names) : plainDirectoryNode;
  const saveTree = (content: Uint8Array): Promise<string> => scheduler.saveTree(content);
  const { dumps = [], config, volume } = tree;
  if (volume.kind === 'volume' && config !== undefined && config.files.length > 0) {
    const saveBlob = (content: Uint8Array): Promise<string> =>
      scheduler.saveBlob(Buffer.from(content), 'data');
    beside.push(
      await saveConfigFolder({ files: config.files, dataName, names: work.names, saveBlob, saveTree }),
    );
  }
  if (dumps.length > 0) beside.push(await saveDumpFolder({ dumps, dataName, saveTree }));
  return await saveRootTree({ parts, dataNode, saveTree, nodeAbove, beside }, dataTree);
}

async function saveDescription(scheduler: SaveScheduler, name: ByteString, text: Buffer): Promise<TreeNode> {
  const id = await scheduler.saveBlob(text, 'data');
  return descriptionNode(name, { id, size: text.length });
}

interface ToDescribe extends Pick<StoredTree, 'treeId' | 'timeMs' | 'missing'> {
  readonly tree: TreeToSave;
  readonly summary: SnapshotSummary;
  readonly problems: readonly SaveProblem[];
  readonly graded: GradedTree;
}

function describe({
  tree,
  treeId,
  timeMs,
  summary,
  problems,
  graded,
  missing: lost,
}: ToDescribe): SnapshotJson {
  const { volume, restorePoint, limits = [], dumps = [] } = tree;
  const missing = [...(tree.missing ?? []), ...lost];
  const dataPath = `/${dataParts(volume).join('/')}`;
  return {
    time: new Date(timeMs).toISOString(),
    ...(tree.parent && { parent: tree.parent.id }),
    tree: treeId,
    paths: [volume.isFile === true ? volume.name : toText(dataPath)],
    hostname: tree.hostname,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    ...(tree.excludePatterns.length > 0 && { excludes: tree.excludePatterns }),
    ...(tree.tags.length > 0 && { tags: tree.tags }),
    program_version: `holdfast ${version}`,
    summary: {
      backup_start: new Date(tree.timeMs).toISOString(),
      backup_end: new Date(tree.timeMs + summary.durationMs).toISOString(),
      files_new: summary.filesNew,
      files_changed: summary.filesChanged,
      files_unmodified: summary.filesUnmodified,
      data_added: summary.bytesAdded,
      data_added_packed: summary.bytesStored,
      total_files_processed: summary.files,
      total_bytes_processed: summary.bytes,
    },
    holdfast: {
      format: 1,
      dataPath: toText(dataPath),
      grade: graded.grade,
      problemCount: problems.length,
      ...(tree.config && { config: tree.config.record }),
      ...(graded.evidence && { evidence: graded.evidence }),
      ...(restorePoint !== undefined && { restorePoint }),
      ...(restorePoint !== undefined && missing.length > 0 && { missing }),
      ...(limits.length > 0 && { limits }),
      ...(dumps.length > 0 && { dumps: dumps.map(({ name, size }) => ({ name, size })) }),
      directories: summary.directories,
      others: summary.others,
      volume,
    },
  };
}
