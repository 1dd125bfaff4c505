import { randomBytes } from 'node:crypto';
import { constants, realpathSync } from 'node:fs';
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Host, VolumeData } from '../hosts/host.ts';
import { syncDirectory } from '../lib/durable-file.ts';
import { openTrusted } from '../lib/open-trusted.ts';
import { writeTar } from '../lib/tar/write-tar.ts';
import { toText } from '../model/byte-string.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { compressed, formatOfName } from './archive-format.ts';
import { noteWriters } from './clone-volume.ts';
import { readVolume, tarOptions } from './data-source.ts';
import { findVolume } from './find-volume.ts';
import { findLocal, localError } from './local-place.ts';
import type { ByteSink, ExportReport, ExportRequest, VolumeWorkOptions } from './host-volumes.ts';
import { WorkLog } from './work-log.ts';

/** Writes a volume as an archive. */
export async function exportVolume(
  host: Host,
  request: ExportRequest,
  options: VolumeWorkOptions,
): Promise<ExportReport> {
  const log = new WorkLog(options);
  const { to } = request;
  const format = request.format ?? (to.kind === 'path' ? formatOfName(to.path) : undefined) ?? 'tar';
  const volume = await findVolume(host, request.volume, { action: 'export', signal: log.signal });
  noteWriters(volume, log);
  await using data = await host.openData(volume.name, { signal: log.signal });
  log.uses(data);
  let archiveBytes = 0;
  const send = async (write: ByteSink): Promise<void> => {
    const tar = writeTar(readVolume(data, log), tarOptions(log));
    for await (const chunk of compressed(tar, format)) {
      archiveBytes += chunk.length;
      await write(chunk);
    }
    // There is no check after the last file; a complete archive is kept only if it is still wanted.
    log.check(`export ${quote(volume.name)}`);
  };
  if (to.kind === 'stream') await send(to.write);
  else await sendToFile(to.path, send, { data, request });
  return { ...log.report(), format, archiveBytes };
}

interface ExportFileRequest {
  readonly data: VolumeData;
  readonly request: ExportRequest;
}

async function sendToFile(
  text: string,
  send: (write: ByteSink) => Promise<void>,
  { data, request }: ExportFileRequest,
): Promise<void> {
  const found = findLocal(text, { follow: true });
  const stat = found.stat;
  if (stat?.isDirectory() === true) {
    throw new AppError('usage', `Cannot export to ${quote(text)}: it is a directory`, {
      hint: 'Give the name of a file in it.',
    });
  }
  if (stat?.isFile() === true && request.overwrite !== true) {
    throw new AppError('exists', `Cannot export to ${quote(text)}: it exists already`, {
      hint: 'Give another name, or remove it first.',
    });
  }
  const folder = toText(found.parent);
  if (data.way === 'direct') refuseInside(folder, toText(data.root), request.volume);
  try {
    // The user who owns the parent folder can put a link in its place at any moment.
    using held = openTrusted(found.parent);
    const file = path.join(held.self, path.basename(toText(found.path)));
    if (stat !== undefined && !stat.isFile()) await writeThrough(file, send);
    else await writeWhole(file, send, { overwrite: request.overwrite === true });
  } catch (error) {
    throw localError(text, error);
  }
}

/** The archive would be read into itself. */
function refuseInside(folder: string, root: string, volume: string): void {
  const real = realpathSync(root);
  if (folder !== real && !folder.startsWith(`${real}/`)) return;
  throw new AppError('usage', `Cannot export ${quote(volume)} to a file in the volume itself`);
}

/** A device or a pipe takes the bytes as they come. */
async function writeThrough(file: string, send: (write: ByteSink) => Promise<void>): Promise<void> {
  await using target = await open(file, constants.O_WRONLY | constants.O_NOFOLLOW);
  await send((chunk) => writeAll(target, chunk));
}

async function writeWhole(
  file: string,
  send: (write: ByteSink) => Promise<void>,
  { overwrite }: { overwrite: boolean },
): Promise<void> {
  const folder = path.dirname(file);
  const temporary = path.join(folder, `.holdfast-${randomBytes(8).toString('hex')}.tmp`);
  try {
    {
      await using target = await open(temporary, 'wx', 0o600);
      await send((chunk) => writeAll(target, chunk));
      await target.sync();
    }
    await moveInto(temporary, file, overwrite);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(folder);
}

/** Unlike a rename, a hard link never replaces another process's new file. Some file systems have none. */
async function moveInto(temporary: string, file: string, overwrite: boolean): Promise<void> {
  if (overwrite) return await rename(temporary, file);
  try {
    await link(temporary, file);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'EPERM' && errno !== 'EOPNOTSUPP' && errno !== 'EMLINK' && errno !== 'ENOSYS') throw error;
    return await rename(temporary, file);
  }
  await rm(temporary);
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length;) done += (await file.write(chunk, done)).bytesWritten;
}
