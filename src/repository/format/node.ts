import type { ByteString } from '../../model/byte-string.ts';
import type { DataRun, EntryType, ExtendedAttribute } from '../../model/entry.ts';
import { AppError } from '../../model/errors.ts';
import { bytesOfParsed, isUtf8, jsonString, quoteName, unquoteName } from './go-text.ts';
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
  /** Present for sparse files; what lies between the runs are holes. */
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

/** Go's os.FileMode has bits of its own for the type and for setuid, setgid and sticky. */
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

/** Holes are kept as a generic attribute: restic keeps those that it does not know. */
const runsAttribute = 'holdfast.data_runs';

/** The JSON of a node, byte for byte as restic writes it. */
export function encodeNode(node: TreeNode): ByteString {
  let json = encodeNodeHead(node);
  if (node.linkTarget !== undefined) json += encodeLinkTarget(node.linkTarget);
  if (node.xattrs.length > 0) json += `,"extended_attributes":[${node.xattrs.map(encodeXattr).join(',')}]`;
  if (node.dataRuns !== undefined)
    json += `,"generic_attributes":{"${runsAttribute}":${encodeRuns(node.dataRuns)}}`;
  if (node.device !== 0n) json += `,"device":${node.device}`;
  json +=
    node.type === 'file'
      ? `,"content":[${node.content.map((id) => `"${id}"`).join(',')}]`
      : ',"content":null';
  if (node.subtree !== undefined) json += `,"subtree":"${node.subtree}"`;
  return `${json}}`;
}

/** The beginning of a node's JSON: all that one call of stat(2) tells. */
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
  const bytes = Buffer.from(target, 'latin1');
  const lossy = Buffer.from(bytes.toString('utf8')).toString('latin1');
  return `,"linktarget":${jsonString(lossy)},"linktarget_raw":"${bytes.toString('base64')}"`;
}

function encodeXattr({ name, value }: ExtendedAttribute): ByteString {
  return `{"name":${jsonString(name)},"value":"${Buffer.from(value).toString('base64')}"}`;
}

function encodeRuns(runs: readonly DataRun[]): string {
  return JSON.stringify(runs.map(({ offset, length }) => [offset, length]));
}

/** The text of a tree blob. Nodes must be sorted by name and encoded. */
export function encodeTree(nodes: readonly ByteString[]): ByteString {
  return `{"nodes":[${nodes.join(',')}]}\n`;
}

interface NodeJson {
  readonly name: string;
  readonly type: string;
  readonly mode?: number;
  readonly mtime?: string;
  readonly atime?: string;
  readonly ctime?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly user?: string;
  readonly group?: string;
  readonly inode?: number;
  readonly device_id?: number;
  readonly size?: number;
  readonly links?: number;
  readonly linktarget?: string;
  readonly linktarget_raw?: string;
  readonly extended_attributes?: readonly { readonly name: string; readonly value: string | null }[] | null;
  readonly generic_attributes?: Readonly<Record<string, unknown>> | null;
  readonly device?: number;
  readonly content?: readonly string[] | null;
  readonly subtree?: string | null;
}

/** The nodes of a tree blob, sorted by name. `integrity` for text that is no tree or has hostile or repeated names. */
export function decodeTree(text: Uint8Array): TreeNode[] {
  const nodes = parseTree(text).map(decodeNode);
  if (!isSorted(nodes)) nodes.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  for (let i = 1; i < nodes.length; i++) {
    const name = nodes[i]?.name;
    if (name === nodes[i - 1]?.name)
      throw new AppError('integrity', `A tree holds ${JSON.stringify(name)} twice`);
  }
  return nodes;
}

function isSorted(nodes: readonly TreeNode[]): boolean {
  return nodes.every((node, i) => i === 0 || (nodes[i - 1]?.name ?? '') <= node.name);
}

function parseTree(text: Uint8Array): readonly NodeJson[] {
  try {
    const latin1 = Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString('latin1');
    const { nodes } = JSON.parse(quoteLargeIntegers(latin1)) as { nodes: readonly NodeJson[] | null };
    return nodes ?? [];
  } catch (error) {
    throw new AppError('integrity', 'A tree is damaged: it is no JSON', { cause: error });
  }
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

function decodeNode(json: NodeJson): TreeNode {
  const name = unquoteName(bytesOfParsed(json.name));
  if (name === undefined || !isSafeName(name)) {
    throw new AppError(
      'integrity',
      `A tree holds the name ${JSON.stringify(json.name)}, which no file can have`,
    );
  }
  const type = typesByName.get(json.type);
  if (type === undefined)
    throw new AppError('unsupported', `A tree holds "${json.type}", a type that is unknown here`);
  const mtimeNs = timeOf(json.mtime);
  return {
    name,
    type,
    mode: unixMode(json.mode ?? 0),
    mtimeNs,
    atimeNs: json.atime === undefined ? mtimeNs : timeOf(json.atime),
    ctimeNs: timeOf(json.ctime),
    uid: json.uid ?? 0,
    gid: json.gid ?? 0,
    user: bytesOfParsed(json.user ?? ''),
    group: bytesOfParsed(json.group ?? ''),
    inode: BigInt(json.inode ?? 0),
    deviceId: BigInt(json.device_id ?? 0),
    size: json.size ?? 0,
    links: json.links ?? 0,
    linkTarget: decodeLinkTarget(json),
    xattrs: (json.extended_attributes ?? []).map(decodeXattr),
    dataRuns: decodeRuns(json.generic_attributes?.[runsAttribute]),
    device: BigInt(json.device ?? 0),
    content: json.content ?? [],
    subtree: json.subtree ?? undefined,
  };
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

function decodeLinkTarget(json: NodeJson): ByteString | undefined {
  if (json.linktarget_raw !== undefined) return Buffer.from(json.linktarget_raw, 'base64').toString('latin1');
  return json.linktarget === undefined ? undefined : bytesOfParsed(json.linktarget);
}

function decodeXattr({
  name,
  value,
}: {
  readonly name: string;
  readonly value: string | null;
}): ExtendedAttribute {
  return { name: bytesOfParsed(name), value: Buffer.from(value ?? '', 'base64') };
}

function decodeRuns(value: unknown): DataRun[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const runs: DataRun[] = [];
  for (const pair of value) {
    if (!Array.isArray(pair) || !pair.every((part) => Number.isSafeInteger(part) && part >= 0))
      return undefined;
    runs.push({ offset: Number(pair[0]), length: Number(pair[1]) });
  }
  return runs;
}
