import { AppError } from '../../model/errors.ts';
import { isId } from '../format/json-fields.ts';

export interface TreeReferences {
  readonly content: readonly string[];
  readonly subtrees: readonly string[];
}

interface NodeJson {
  readonly type?: unknown;
  readonly content?: unknown;
  readonly subtree?: unknown;
}

/** The blobs that a tree needs. Nothing else of it is looked at: what is unknown here is copied as it is. */
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
    // Told below.
  }
  throw damaged('it is no list of nodes');
}

function damaged(reason: string): AppError {
  return new AppError('integrity', `A tree is damaged: ${reason}`);
}
