import { closeSync, readSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import type { StreamData } from '../../hosts/host.ts';
import { DirectoryHandle } from '../../lib/directory-handle.ts';
import { openRegular } from '../../lib/open-regular.ts';
import { readTar } from '../../lib/tar/read-tar.ts';
import { type ByteString, fromBytes, fromText, toPath, toText } from '../../model/byte-string.ts';
import { errnoOf, isAppError } from '../../model/errors.ts';
import type { LiveData } from '../live-tree.ts';
import type { DiskEvidence } from './preset.ts';

const headBytes = 16;
/** `18/docker/PG_VERSION` is three levels down. */
const maxDepth = 3;
/**
 * A database's files are few and near the root, so a volume of many small files is not searched to its end.
 */
const maxEntries = 3000;
const maxHeads = 600;

/** What lies near a volume's root. Bounded for any volume size; leaves out what cannot be read. */
export async function readDiskEvidence(
  data: LiveData,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<DiskEvidence> {
  if (data.way === 'stream') return await probeStream(data, options);
  return await walk(data.root, options);
}

async function walk(
  root: ByteString,
  { signal }: { readonly signal?: AbortSignal | undefined },
): Promise<DiskEvidence> {
  const found = new Map<string, Uint8Array>();
  using top = openOrNothing(() => DirectoryHandle.open(root));
  if (top === undefined) return found;
  let heads = 0;
  let level: readonly ByteString[] = [''];
  for (let depth = 1; depth <= maxDepth && level.length > 0; depth++) {
    const next: ByteString[] = [];
    for (const folder of level) {
      signal?.throwIfAborted();
      // A container may swap a folder for a symbolic link: each is opened by name from the root, following
      // none.
      using handle = openOrNothing(() => top.openBelow(folder === '' ? [] : folder.split('/')));
      for (const entry of handle === undefined ? [] : await list(handle)) {
        if (found.size >= maxEntries) return found;
        const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
        if (entry.isDirectory) {
          found.set(toText(path), noBytes);
          next.push(path);
        } else if (entry.isFile) {
          found.set(toText(path), heads++ < maxHeads ? readHead(handle, entry.name) : noBytes);
        }
      }
    }
    level = next;
  }
  return found;
}

const noBytes = new Uint8Array(0);

interface Listed {
  readonly name: ByteString;
  readonly isFile: boolean;
  readonly isDirectory: boolean;
}

/** Undefined for an entry that is gone, of another type, or unreadable: it proves nothing. */
function openOrNothing<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

async function list(handle: DirectoryHandle): Promise<Listed[]> {
  const entries = await readdir(toPath(handle.at('.')), { withFileTypes: true, encoding: 'buffer' }).catch(
    () => [],
  );
  return entries.map((entry) => ({
    name: fromBytes(entry.name),
    isFile: entry.isFile(),
    isDirectory: entry.isDirectory(),
  }));
}

function readHead(folder: DirectoryHandle | undefined, name: ByteString): Uint8Array {
  const opened = openOrNothing(() => (folder === undefined ? undefined : openRegular(folder.fd, name)));
  if (opened === undefined) return noBytes;
  try {
    const head = new Uint8Array(headBytes);
    return head.subarray(0, openOrNothing(() => readSync(opened.fd, head, 0, headBytes, 0)) ?? 0);
  } finally {
    closeSync(opened.fd);
  }
}

/** Through a stream each folder costs a request, so only known folders are asked for. */
const folders = ['', 'data', 'pgdata', '18/docker', '17/docker', 'db'];
const signs: readonly (readonly string[])[] = [
  ['PG_VERSION', 'global'],
  ['ibdata1', 'mysql'],
  ['WiredTiger'],
  ['dump.rdb'],
  ['appendonlydir'],
];

async function probeStream(
  data: StreamData,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<DiskEvidence> {
  const found = new Map<string, Uint8Array>();
  const probe = async (path: string): Promise<boolean> => {
    try {
      const tar = await data.readTar(fromText(path), options);
      for await (const { entry, body } of readTar(tar, options)) {
        const chunks: Uint8Array[] = [];
        if (entry.type === 'file')
          for await (const chunk of body) {
            chunks.push(chunk);
            break;
          }
        found.set(path, Buffer.concat(chunks).subarray(0, headBytes));
        return true;
      }
      return false;
    } catch (error) {
      if (isAppError(error, 'not-found')) return false;
      throw error;
    }
  };
  for (const folder of folders) {
    for (const [first = '', ...others] of signs) {
      if (!(await probe(folder === '' ? first : `${folder}/${first}`))) continue;
      for (const other of others) await probe(folder === '' ? other : `${folder}/${other}`);
    }
    if (found.size > 0) break;
  }
  return found;
}
