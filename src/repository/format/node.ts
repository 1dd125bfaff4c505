import { type ByteString, fromBytes, toPrintable } from '../../model/byte-string.ts';
import type { DataRun, EntryType, ExtendedAttribute } from '../../model/entry.ts';
import { AppError } from '../../model/errors.ts';
import { bytesOfParsed, isUtf8, jsonString, lossyJsonString, quoteName, unquoteName } from './go-text.ts';
import type { IdList } from './id-list.ts';
import { JsonFields } from './json-fields.ts';
import { formatTime, parseTime } from './timestamp.ts';

/** One entry of a directory in a repository. */
export interface TreeNode {
  readonly name: ByteString;
  readonly type: EntryType | 'irregular';
  /** Permission bits with setuid, setgid and sticky (0o7777). */
  readonly mode: number;
  readonly mtimeNs: bigint;
  readonly atimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly uid: number;
  readonly gid: number;
  readonly user: ByteString;
  readonly group: ByteString;
  readonly inode: bigint;
  /** 0 unless the file has several links. */
  readonly deviceId: bigint;
  readonly size: number;
  readonly links: number;
  readonly linkTarget: ByteString | undefined;
  readonly xattrs: readonly ExtendedAttribute[];
  /** Present for sparse files; the gaps between the runs are holes. */
  readonly dataRuns: readonly DataRun[] | undefined;
  /** `st_rdev` of a device. */
  readonly device: bigint;
  /** Blob ids in hex, for files. */
  readonly content: readonly string[];
  /** Tree id in hex, for directories. */
  readonly subtree: string | undefined;
}

const typeNames: Readonly<Record<TreeNode['type'], string>> = {
  file: 'file',
  dir: 'dir',
  symlink: 'symlink',
  fifo: 'fifo',
  socket: 'socket',
  chardev: 'chardev',
  blockdev: 'dev',
  irregular: 'irregular',
};

/** Go's os.FileMode has its own bits for the type and for setuid, setgid and sticky. */
const typeModeBits: Readonly<Record<TreeNode['type'], number>> = {
  file: 0,
  dir: 2 ** 31,
  symlink: 2 ** 27,
  fifo: 2 ** 25,
  socket: 2 ** 24,
  chardev: 2 ** 26 + 2 ** 21,
  blockdev: 2 ** 26,
  irregular: 2 ** 19,
};

/** Holes are stored as a generic attribute: restic preserves attributes that it does not know. */
const runsAttribute = 'holdfast.data_runs';

/** The JSON of a node. For a file with many blobs it is assembled from their ids when the tree is written. */
export type NodeText = ByteString | LongNode;

export interface LongNode {
  readonly beforeIds: ByteString;
  readonly ids: readonly IdList[];
  readonly afterIds: ByteString;
}

/** The JSON of a node, byte for byte as restic writes it. */
export function encodeNode(node: TreeNode): ByteString {
  const content = node.content.map((id) => `"${id}"`).join(',');
  const { beforeContent, afterContent } = encodeAroundContent(node);
  const list = node.type === 'file' ? `[${content}]` : 'null';
  return beforeContent + list + afterContent;
}

/** The same for a file whose blobs are `ids`; its `content` is ignored. */
export function encodeLongNode(node: TreeNode, ids: readonly IdList[]): LongNode {
  const { beforeContent, afterContent } = encodeAroundContent(node);
  return { beforeIds: `${beforeContent}[`, ids, afterIds: `]${afterContent}` };
}

function encodeAroundContent(node: TreeNode): { beforeContent: ByteString; afterContent: ByteString } {
  let json = encodeNodeHead(node);
  if (node.linkTarget !== undefined) json += encodeLinkTarget(node.linkTarget);
  if (node.xattrs.length > 0) json += `,"extended_attributes":[${node.xattrs.map(encodeXattr).join(',')}]`;
  if (node.dataRuns !== undefined)
    json += `,"generic_attributes":{"${runsAttribute}":${encodeRuns(node.dataRuns)}}`;
  if (node.device !== 0n) json += `,"device":${node.device}`;
  const subtree = node.subtree === undefined ? '' : `,"subtree":"${node.subtree}"`;
  return { beforeContent: `${json},"content":`, afterContent: `${subtree}}` };
}

/** The beginning of a node's JSON: everything that one call of stat(2) returns. */
export function encodeNodeHead(node: TreeNode): ByteString {
  let json = `{"name":${jsonString(quoteName(node.name))},"type":"${typeNames[node.type]}"`;
  const mode = goMode(node);
  if (mode !== 0) json += `,"mode":${mode}`;
  const mtime = formatTime(node.mtimeNs);
  const atime = node.atimeNs === node.mtimeNs ? mtime : formatTime(node.atimeNs);
  json += `,"mtime":"${mtime}","atime":"${atime}","ctime":"${formatTime(node.ctimeNs)}"`;
  json += `,"uid":${node.uid},"gid":${node.gid}`;
  if (node.user !== '') json += `,"user":${jsonString(node.user)}`;
  if (node.group !== '') json += `,"group":${jsonString(node.group)}`;
  if (node.inode !== 0n) json += `,"inode":${node.inode}`;
  if (node.deviceId !== 0n) json += `,"device_id":${node.deviceId}`;
  if (node.size !== 0) json += `,"size":${node.size}`;
  if (node.links !== 0) json += `,"links":${node.links}`;
  return json;
}

function goMode(node: TreeNode): number {
  let mode = (node.mode & 0o777) + typeModeBits[node.type];
  if (node.mode & 0o4000) mode += 2 ** 23;
  if (node.mode & 0o2000) mode += 2 ** 22;
  if (node.mode & 0o1000) mode += 2 ** 20;
  return mode;
}

function encodeLinkTarget(target: ByteString): ByteString {
  if (isUtf8(target)) return `,"linktarget":${jsonString(target)}`;
  const raw = Buffer.from(target, 'latin1').toString('base64');
  return `,"linktarget":${lossyJsonString(target)},"linktarget_raw":"${raw}"`;
}

function encodeXattr({ name, value }: ExtendedAttribute): ByteString {
  return `{"name":${jsonString(name)},"value":"${Buffer.from(value).toString('base64')}"}`;
}

function encodeRuns(runs: readonly DataRun[]): string {
  return JSON.stringify(runs.map(({ offset, length }) => [offset, length]));
}

/**
 * The nodes of a tree blob, sorted by name. `integrity` for text that is not a tree, or has hostile or
 * repeated names.
 */
export function decodeTree(text: Uint8Array): TreeNode[] {
  const nodes = parseTree(text).map(decodeNode);
  if (!isSorted(nodes)) nodes.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  for (let i = 1; i < nodes.length; i++) {
    const name = nodes[i]?.name ?? '';
    if (name === nodes[i - 1]?.name)
      throw new AppError('integrity', `A tree holds "${toPrintable(name)}" twice`);
  }
  return nodes;
}

function isSorted(nodes: readonly TreeNode[]): boolean {
  return nodes.every((node, i) => i === 0 || (nodes[i - 1]?.name ?? '') <= node.name);
}

function parseTree(text: Uint8Array): readonly unknown[] {
  let json: unknown;
  try {
    json = JSON.parse(quoteLargeIntegers(fromBytes(text)));
  } catch (error) {
    throw new AppError('integrity', 'A tree is damaged: it is no JSON', { cause: error });
  }
  return new JsonFields(json, 'A tree').list('nodes');
}

/** Inode and device numbers go past 2^53, where a number would lose its last digits. */
function quoteLargeIntegers(json: string): string {
  return largeInteger.test(json) ? json.replace(largeIntegers, '"$1":"$2"') : json;
}

const largeInteger = /"(?:inode|device_id|device)":\d{16,}/;
const largeIntegers = /"(inode|device_id|device)":(\d{16,})/g;

const typesByName = new Map(
  Object.entries(typeNames).map(([type, name]) => [name, type as TreeNode['type']]),
);

const maxUint32 = 2 ** 32 - 1;

function decodeNode(json: unknown): TreeNode {
  const fields = new JsonFields(json, 'A node of a tree');
  const name = decodeName(fields.text('name') ?? '');
  const type = typesByName.get(fields.text('type') ?? '');
  if (type === undefined) {
    const message = `"${toPrintable(name)}" is a "${fields.text('type') ?? ''}", a type that is unknown here`;
    throw new AppError('unsupported', message);
  }
  const mtimeNs = timeOf(fields.text('mtime'));
  const atime = fields.text('atime');
  const size = fields.integer('size');
  return {
    name,
    type,
    mode: unixMode(fields.integer('mode', maxUint32)),
    mtimeNs,
    atimeNs: atime === undefined ? mtimeNs : timeOf(atime),
    ctimeNs: timeOf(fields.text('ctime')),
    uid: fields.integer('uid', maxUint32),
    gid: fields.integer('gid', maxUint32),
    user: bytesOfParsed(fields.text('user') ?? ''),
    group: bytesOfParsed(fields.text('group') ?? ''),
    inode: fields.largeInteger('inode'),
    deviceId: fields.largeInteger('device_id'),
    size,
    links: fields.integer('links'),
    linkTarget: decodeLinkTarget(fields, type),
    xattrs: fields.list('extended_attributes').map(decodeXattr),
    dataRuns: decodeRuns(json, size),
    device: fields.largeInteger('device'),
    content: fields.ids('content'),
    subtree: fields.id('subtree'),
  };
}

function decodeName(text: string): ByteString {
  const name = unquoteName(bytesOfParsed(text));
  if (name === undefined || !isSafeName(name)) {
    throw new AppError('integrity', `A tree holds the name "${toPrintable(text)}", which no file can have`);
  }
  return name;
}

function isSafeName(name: ByteString): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0');
}

function timeOf(text: string | undefined): bigint {
  return text === undefined ? 0n : (parseTime(text) ?? 0n);
}

function unixMode(mode: number): number {
  const has = (bit: number): boolean => Math.floor(mode / 2 ** bit) % 2 === 1;
  return (mode & 0o777) | (has(23) ? 0o4000 : 0) | (has(22) ? 0o2000 : 0) | (has(20) ? 0o1000 : 0);
}

function decodeLinkTarget(fields: JsonFields, type: TreeNode['type']): ByteString | undefined {
  const raw = fields.text('linktarget_raw');
  const text = fields.text('linktarget');
  const bytes = text === undefined ? undefined : bytesOfParsed(text);
  const target = raw === undefined ? bytes : Buffer.from(raw, 'base64').toString('latin1');
  if (type === 'symlink' && (target === undefined || target === '' || target.includes('\0')))
    throw new AppError('integrity', 'A tree holds a symbolic link that leads nowhere');
  return target;
}

function decodeXattr(json: unknown): ExtendedAttribute {
  const fields = new JsonFields(json, 'An extended attribute in a tree');
  return {
    name: bytesOfParsed(fields.text('name') ?? ''),
    value: Buffer.from(fields.text('value') ?? '', 'base64'),
  };
}

/** Invalid runs are dropped: the file's content is then complete, and only its holes are lost. */
function decodeRuns(json: unknown, size: number): DataRun[] | undefined {
  const { generic_attributes: attributes } = json as {
    generic_attributes?: Readonly<Record<string, unknown>> | null;
  };
  const pairs = attributes?.[runsAttribute];
  if (!Array.isArray(pairs)) return undefined;
  const runs: DataRun[] = [];
  let end = 0;
  for (const pair of pairs) {
    const [offset, length]: unknown[] = Array.isArray(pair) ? pair : [];
    if (!isCount(offset) || !isCount(length) || offset < end || offset + length > size) return undefined;
    runs.push({ offset, length });
    end = offset + length;
  }
  return runs;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
