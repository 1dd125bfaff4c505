import type { BlobIndex } from '../blob-index/blob-index.ts';
import { type ByteString, fromText } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { encodeTree } from '../format/encode-tree.ts';
import { encodeNode, type TreeNode } from '../format/node.ts';
import type { DumpStream, StoredDump, WorkOptions } from '../types.ts';
import { keepOnFailure, PackRecorder } from './pack-recorder.ts';
import { dumpsName, plainDirectoryNode } from './root-tree.ts';
import { type LockedContext, openScheduler, type SaveScheduler } from './save-scheduler.ts';
import { SaveTally } from './save-tally.ts';
import { StreamContent } from './stream-content.ts';

/**
 * Stores a stream of unknown length as a file that a snapshot can have beside its data. Durable on return.
 */
export async function saveDump(
  context: LockedContext,
  dump: DumpStream,
  options: WorkOptions,
): Promise<StoredDump> {
  assertFileName(dump.name);
  const recorder = new PackRecorder(context.codec, context.lock);
  const tally = new SaveTally(options.onProgress, undefined);
  await using scheduler = openScheduler(context, {
    dryRun: false,
    onPack: (pack) => recorder.add(pack),
    signal: options.signal,
  });
  return await keepOnFailure(recorder, scheduler, async () => {
    const content = new StreamContent(scheduler, context.polynomial);
    const { pending, size } = await content.saveUnsized(counted(dump, { scheduler, tally }));
    content.sendParcel();
    const ids = await pending;
    await scheduler.flush();
    await recorder.finish();
    return { name: dump.name, size, content: ids };
  });
}

interface Tools {
  readonly scheduler: SaveScheduler;
  readonly tally: SaveTally;
}

async function* counted(
  { name, body }: DumpStream,
  { scheduler, tally }: Tools,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of body) {
    await scheduler.room();
    tally.countBytes(chunk.length, fromText(name));
    yield chunk;
  }
}

interface DumpFolder {
  readonly dumps: readonly StoredDump[];
  readonly dataName: ByteString;
  readonly saveTree: (text: Uint8Array) => Promise<string>;
}

/** The folder of the dumps beside the data's root, in a snapshot's tree. */
export async function saveDumpFolder({ dumps, dataName, saveTree }: DumpFolder): Promise<TreeNode> {
  const nodes = dumps.map(({ name, size, content }): TreeNode => ({
    ...plainDirectoryNode,
    type: 'file',
    name: fromText(name),
    mode: 0o600,
    size,
    links: 1,
    content,
  }));
  nodes.sort((a, b) => (a.name < b.name ? -1 : 1));
  const subtree = await saveTree(encodeTree(nodes.map((node) => encodeNode(node))));
  return { ...plainDirectoryNode, name: dumpsName(dataName), mode: 0o700, subtree };
}

/** Between the dump and the snapshot that refers to it, another process may have pruned its blobs. */
export function assertDumpsThere(index: BlobIndex, dumps: readonly StoredDump[]): void {
  for (const { name, content } of dumps) {
    if (content.every((id) => index.has(id, 'data'))) continue;
    throw new AppError(
      'conflict',
      `The dump ${quote(name)} was removed by a prune before it was in a snapshot`,
      {
        hint: 'Run the backup again.',
      },
    );
  }
}

function assertFileName(name: string): void {
  const isGood = name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name) && name.length <= 255;
  if (!isGood) throw new AppError('usage', `Cannot store a dump as ${quote(name)}: that is no file name`);
}
