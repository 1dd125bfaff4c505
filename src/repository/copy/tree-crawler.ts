import { AppError } from '../../model/errors.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { idWords } from '../blob-index/blob-print.ts';
import { BlobTables } from '../blob-index/blob-tables.ts';
import { isId } from '../format/json-fields.ts';
import type { FileCodec } from '../format/repository-file.ts';
import { Room } from '../lib/room.ts';
import type { BlobPlace, BlobType } from '../pack/pack-header.ts';
import { readBlobs } from '../read/read-blobs.ts';

interface CrawlerOptions {
  readonly codec: FileCodec;
  readonly index: BlobIndex;
  readonly signal: AbortSignal | undefined;
  /**
   * Called with every needed blob and the pack that holds it, several times if several trees need it. May
   * throw to end the crawl.
   */
  readonly onBlob: (packId: string, blob: BlobPlace) => void;
  /** Awaited regularly, so that the caller can process what was reported. */
  readonly breathe?: () => Promise<void>;
}

/** Trees read at once; those of one pack need few requests. */
const batchSize = 256;

/** Reads trees and reports what they need, each tree once in the crawler's life. */
export class TreeCrawler {
  readonly #options: CrawlerOptions;
  readonly #rooms = { sealedRooms: [new Room(), new Room()] as const, contentRoom: new Room() };
  #seen = BlobTables.withoutPlaces(0);

  constructor(options: CrawlerOptions) {
    this.#options = options;
  }

  /**
   * `integrity` when something is missing or damaged: later trees are then unknown, and everything is read
   * again next time.
   */
  async crawl(root: string): Promise<void> {
    try {
      await this.#crawl(root);
    } catch (error) {
      this.forget();
      throw error;
    }
  }

  /** Makes later crawls read every tree again. */
  forget(): void {
    this.#seen = BlobTables.withoutPlaces(0);
  }

  async #crawl(root: string): Promise<void> {
    const { codec, signal, breathe } = this.#options;
    const stack: string[] = [];
    this.#meet(root, stack);
    while (stack.length > 0) {
      if (signal?.aborted) throw new AppError('cancelled', 'The work was stopped');
      for (const [packId, blobs] of this.#byPack(stack.splice(-batchSize)))
        for await (const { content } of readBlobs({ ...codec, ...this.#rooms }, packId, blobs, { signal }))
          this.#tellReferences(content, stack);
      await breathe?.();
    }
  }

  #tellReferences(text: Buffer, stack: string[]): void {
    const { content, subtrees } = treeReferences(text);
    for (const id of content) this.#tell(id, 'data');
    for (const id of subtrees) this.#meet(id, stack);
  }

  #meet(id: string, stack: string[]): void {
    if (!this.#seen.claim(idWords(id), 'tree')) return;
    this.#seen.grow();
    stack.push(id);
    this.#tell(id, 'tree');
  }

  #tell(id: string, type: BlobType): void {
    const { packId, ...place } = this.#locate(id, type);
    this.#options.onBlob(packId, { id, type, ...place });
  }

  #locate(id: string, type: BlobType): NonNullable<ReturnType<BlobIndex['find']>> {
    const found = this.#options.index.find(id, type);
    if (found) return found;
    throw new AppError('integrity', `The ${type} blob "${id.slice(0, 8)}" is missing`);
  }

  #byPack(ids: readonly string[]): Map<string, BlobPlace[]> {
    const wanted = new Map<string, BlobPlace[]>();
    for (const id of ids) {
      const { packId, ...place } = this.#locate(id, 'tree');
      const blobs = wanted.get(packId) ?? [];
      blobs.push({ id, type: 'tree', ...place });
      wanted.set(packId, blobs);
    }
    return wanted;
  }
}

interface TreeReferences {
  readonly content: readonly string[];
  readonly subtrees: readonly string[];
}

interface NodeJson {
  readonly type?: unknown;
  readonly content?: unknown;
  readonly subtree?: unknown;
}

/** The blobs that a tree needs. Other fields are not examined: unknown ones are copied as they are. */
export function treeReferences(text: Buffer): TreeReferences {
  const content: string[] = [];
  const subtrees: string[] = [];
  for (const node of nodesOf(text)) {
    const { type, content: ids, subtree } = (node ?? {}) as NodeJson;
    if (type === 'dir' && !isId(subtree)) throw damaged('a directory in it has no tree');
    if (isId(subtree)) subtrees.push(subtree);
    if (ids === undefined || ids === null) continue;
    if (!Array.isArray(ids) || !ids.every(isId)) throw damaged('a file in it has no list of ids');
    for (const id of ids) content.push(id);
  }
  return { content, subtrees };
}

function nodesOf(text: Buffer): readonly unknown[] {
  try {
    const { nodes } = JSON.parse(text.toString('latin1')) as { nodes?: unknown };
    if (nodes === null) return [];
    if (Array.isArray(nodes)) return nodes;
  } catch {
    // Reported below.
  }
  throw damaged('it is no list of nodes');
}

function damaged(reason: string): AppError {
  return new AppError('integrity', `A tree is damaged: ${reason}`);
}
