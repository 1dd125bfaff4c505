import type { ByteString } from '../../model/byte-string.ts';
import { isAppError } from '../../model/errors.ts';
import type { VolumeDescription } from '../../model/snapshot.ts';
import { descriptionName } from '../save/root-tree.ts';
import type { BlobReader } from './blob-reader.ts';
import { findNode } from './find-node.ts';

/** The description that lies beside a volume's data in a snapshot. Undefined when there is none, or it can't be read. */
export async function readDescription(
  reader: BlobReader,
  tree: string,
  dataName: ByteString,
): Promise<VolumeDescription | undefined> {
  try {
    const node = await findNode(reader, tree, ['volume', descriptionName(dataName)]);
    const id = node?.content[0];
    if (id === undefined) return undefined;
    const parsed = JSON.parse((await reader.read(id, 'data')).toString('utf8')) as Partial<VolumeDescription>;
    return parsed.kind === 'volume' && typeof parsed.identity === 'string'
      ? (parsed as VolumeDescription)
      : undefined;
  } catch (error) {
    if (isAppError(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
