import { isUtf8 } from 'node:buffer';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { openFlag } from '../lib/posix-at.ts';
import type { Position } from '../model/finding.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import type { ComposeComment, ComposePath, ComposeProblem } from './compose-project.ts';
import { type LoadLimits, mostFileBytes } from './load-limits.ts';
import { broken, isBroken, parseYaml, type YamlFile } from './parse-yaml.ts';

/** The files of one load: each is opened and parsed once. */
export class ProjectFiles {
  readonly limits: LoadLimits;
  readonly problems: ComposeProblem[] = [];
  readonly #paths: string[] = [];
  readonly #contents = new Map<string, Promise<Buffer>>();
  readonly #parsed = new Map<string, Promise<YamlFile>>();
  readonly #comments = new Map<string, YamlFile>();

  constructor(limits: LoadLimits) {
    this.limits = limits;
  }

  /** All that were read, in this order. */
  get paths(): readonly string[] {
    return this.#paths;
  }

  /** The content of a regular file of bounded size; `path` is absolute. */
  async text(path: string): Promise<string> {
    return withoutMark((await this.#content(path)).toString('utf8'));
  }

  #content(path: string): Promise<Buffer> {
    const known = this.#contents.get(path) ?? this.#read(path);
    this.#contents.set(path, known);
    return known;
  }

  async #read(path: string): Promise<Buffer> {
    const content = await readRegular(path, this.limits);
    this.#paths.push(path);
    return content;
  }

  yaml(path: string): Promise<YamlFile> {
    const known = this.#parsed.get(path) ?? this.#parse(path);
    this.#parsed.set(path, known);
    return known;
  }

  async #parse(path: string): Promise<YamlFile> {
    const file = parseYaml(yamlText(await this.#content(path), path), path, this.limits);
    this.#comments.set(path, file);
    return file;
  }

  /** The comment at the end of a line, and those alone in the lines directly above. */
  commentsAt({ file, line }: Position): ComposeComment[] {
    const { comments, commentLines } = this.#comments.get(file) ?? {};
    if (comments === undefined || commentLines === undefined) return [];
    let first = line;
    while (commentLines.has(first - 1)) first -= 1;
    const found: ComposeComment[] = [];
    for (let at = first; at <= line; at++) {
      const comment = comments.get(at);
      if (comment !== undefined) found.push(comment);
    }
    return found;
  }

  /** True when something was already refused at a path. */
  isRefused(path: ComposePath): boolean {
    const place = path.join('\0');
    return this.problems.some(({ kind, path: other }) => kind === 'error' && other.join('\0') === place);
  }

  report(kind: ComposeProblem['kind'], message: string, path: ComposePath, position: Position): void {
    this.problems.push({ kind, message, path, position });
  }
}

/** YAML is UTF-8, or UTF-16 with a mark at its start, as editors of Windows write it. */
function yamlText(content: Buffer, file: string): string {
  const mark = content.toString('latin1', 0, 2);
  if (mark === '\xff\xfe') return content.toString('utf16le', 2);
  if (mark === '\xfe\xff' && content.length % 2 === 0)
    return Buffer.from(content).swap16().toString('utf16le', 2);
  const text = withoutMark(content.toString('utf8'));
  if (isUtf8(content)) return text;
  const before = text.slice(0, text.indexOf('\ufffd')).split('\n');
  const position = { file, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
  throw broken(position, 'it is not UTF-8');
}

function withoutMark(text: string): string {
  return text.replace(/^\uFEFF/, '');
}

/** A name may lead to a pipe or a device: it is held without being opened, and read only as a regular file. */
async function readRegular(path: string, limits: LoadLimits): Promise<Buffer> {
  if (path.includes('\0')) throw new AppError('usage', `Cannot read ${quote(path)}: its name holds a NUL`);
  try {
    await using named = await open(path, openFlag.path);
    if (!(await named.stat()).isFile())
      throw new AppError('failed', `Cannot read ${quote(path)}: it is not a regular file`);
    await using handle = await open(`/proc/self/fd/${named.fd}`, constants.O_RDONLY | constants.O_NONBLOCK);
    const status = await handle.stat();
    limits.file(path, status.size);
    // What a file under /proc holds is not in its size.
    const buffer = Buffer.alloc(Math.min(Math.max(status.size, 1 << 16), mostFileBytes) + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length);
      length += bytesRead;
      if (bytesRead === 0) break;
      if (length === buffer.length)
        throw new AppError('usage', `Cannot read ${quote(path)}: it grows while it is read`);
    }
    return buffer.subarray(0, length);
  } catch (error) {
    throw asAppError(error, path);
  }
}

function asAppError(error: unknown, path: string): unknown {
  const code = errnoOf(error);
  if (code === undefined) return error;
  const options = { cause: error };
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new AppError('not-found', `Cannot read ${quote(path)}: it does not exist`, options);
  if (code === 'EACCES' || code === 'EPERM')
    return new AppError('denied', `Cannot read ${quote(path)}: permission denied`, options);
  return new AppError('failed', `Cannot read ${quote(path)}: ${code}`, options);
}

/** A file that is included or extended and cannot be used: the rest of the project can still be told. */
export function isUnusable(error: unknown): boolean {
  return isUnreadable(error) || isBroken(error);
}

/** A file that is not there or no file: Compose says so, and the rest of the project can still be told. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof AppError && ['not-found', 'denied', 'failed'].includes(error.code);
}
