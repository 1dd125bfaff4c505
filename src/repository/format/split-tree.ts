import { type ByteString, fromBytes } from '../../model/byte-string.ts';
import { AppError } from '../../model/errors.ts';

/** The nodes of a tree blob as they are written, so that what is unknown here stays as it is. `integrity` for what is no tree. */
export function splitTree(text: Uint8Array): ByteString[] {
  const json = fromBytes(text);
  const start = /^\s*\{\s*"nodes"\s*:\s*\[/.exec(json)?.[0].length;
  if (start === undefined) {
    if (/^\s*\{\s*"nodes"\s*:\s*null\s*\}\s*$/.test(json)) return [];
    throw damaged();
  }
  const nodes: ByteString[] = [];
  for (let at = start; ;) {
    at = skipBlanks(json, at);
    if (json[at] === ']') break;
    if (nodes.length > 0) at = skipBlanks(json, at + 1);
    const end = endOfObject(json, at);
    nodes.push(json.slice(at, end));
    at = end;
  }
  return nodes;
}

function skipBlanks(json: string, from: number): number {
  let at = from;
  while (/\s/.test(json[at] ?? '')) at++;
  return at;
}

const significant = /["{}]/g;
const endOfString = /(?:[^"\\]|\\[\s\S])*"/y;

/** Where the object that begins here ends. Braces in strings are none. */
function endOfObject(json: string, from: number): number {
  if (json[from] !== '{') throw damaged();
  let depth = 0;
  significant.lastIndex = from;
  for (let match = significant.exec(json); match; match = significant.exec(json)) {
    if (match[0] === '"') {
      endOfString.lastIndex = significant.lastIndex;
      if (!endOfString.test(json)) throw damaged();
      significant.lastIndex = endOfString.lastIndex;
    } else if (match[0] === '{') depth++;
    else if (--depth === 0) return match.index + 1;
  }
  throw damaged();
}

function damaged(): AppError {
  return new AppError('integrity', 'A tree is damaged: it is no list of nodes');
}
