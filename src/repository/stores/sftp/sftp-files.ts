import { paceBytes } from '../pace.ts';
import type { Pace } from '../store.ts';
import { throwIfAborted } from '../store-errors.ts';
import { openFlag, packetType, type SftpAttributes, type SftpEntry, status } from './packets.ts';
import { type SftpSession, SftpStatus } from './sftp-session.ts';

export interface SftpTransfer {
  readonly signal?: AbortSignal | undefined;
  readonly pace?: Pace | undefined;
}

export type SftpHandle = Buffer;

/** The size that every server accepts in one request; OpenSSH advertises eight times as much. */
const defaultBlockBytes = 32 * 1024;
const maxBlockBytes = 255 * 1024;
const requestsAtOnce = 16;

/** Files and folders over a session. A refusal by the server throws `SftpStatus`. */
export class SftpFiles {
  readonly session: SftpSession;
  readonly #readBytes: number;
  readonly #writeBytes: number;

  private constructor(session: SftpSession, limits: { readBytes: number; writeBytes: number }) {
    this.session = session;
    this.#readBytes = limits.readBytes;
    this.#writeBytes = limits.writeBytes;
  }

  static async over(session: SftpSession): Promise<SftpFiles> {
    return new SftpFiles(session, await askLimits(session));
  }

  async openToRead(path: string): Promise<SftpHandle> {
    return await this.#open(path, openFlag.read);
  }

  /** Throws when the file exists. */
  async openToWrite(path: string): Promise<SftpHandle> {
    return await this.#open(path, openFlag.write | openFlag.create | openFlag.exclusive);
  }

  async close(handle: SftpHandle): Promise<void> {
    await this.session.send(packetType.close, (packet) => packet.bytes(handle));
  }

  /** Fills `target` from `offset` on; returns the number of bytes read. */
  async read(
    handle: SftpHandle,
    target: Buffer,
    options: SftpTransfer & { offset: number },
  ): Promise<number> {
    const { offset, signal, pace } = options;
    let end = target.length;
    const blockBytes = pace ? Math.min(paceBytes, this.#readBytes) : this.#readBytes;
    await inBlocks(target.length, blockBytes, async (start, length) => {
      for (let done = 0; done < length && start + done < end;) {
        throwIfAborted(signal);
        await pace?.take(length - done, signal);
        const data = await this.#readBlock(handle, offset + start + done, length - done);
        if (data === undefined) {
          end = Math.min(end, start + done);
          return;
        }
        done += data.copy(target, start + done, 0, length - done);
      }
    });
    return end;
  }

  async write(handle: SftpHandle, content: Uint8Array, { signal, pace }: SftpTransfer): Promise<void> {
    const blockBytes = pace ? Math.min(paceBytes, this.#writeBytes) : this.#writeBytes;
    await inBlocks(content.length, blockBytes, async (start, length) => {
      throwIfAborted(signal);
      await pace?.take(length, signal);
      await this.session.send(packetType.write, (packet) =>
        packet
          .bytes(handle)
          .uint64(start)
          .bytes(content.subarray(start, start + length)),
      );
    });
  }

  /** False where the server does not support it. */
  async sync(handle: SftpHandle): Promise<boolean> {
    return await this.#extended('fsync@openssh.com', (packet) => packet.bytes(handle));
  }

  async sizeOf(handle: SftpHandle): Promise<number> {
    const { body } = await this.session.send(packetType.fstat, (packet) => packet.bytes(handle));
    return body.attributes().sizeBytes ?? 0;
  }

  /** Undefined when nothing has this path. */
  async stat(path: string): Promise<SftpAttributes | undefined> {
    try {
      const { body } = await this.session.send(packetType.lstat, (packet) => packet.text(path));
      return body.attributes();
    } catch (error) {
      if (error instanceof SftpStatus && error.code === status.noSuchFile) return undefined;
      throw error;
    }
  }

  async list(path: string, { signal }: SftpTransfer = {}): Promise<SftpEntry[]> {
    const { body } = await this.session.send(packetType.opendir, (packet) => packet.text(path));
    const handle = body.bytes();
    const entries: SftpEntry[] = [];
    try {
      for (;;) {
        throwIfAborted(signal);
        const reply = await this.session.send(packetType.readdir, (packet) => packet.bytes(handle));
        for (const entry of reply.body.names()) {
          if (entry.name !== '.' && entry.name !== '..') entries.push(entry);
        }
      }
    } catch (error) {
      if (!(error instanceof SftpStatus && error.code === status.eof)) throw error;
      return entries;
    } finally {
      this.closeSoon(handle);
    }
  }

  async remove(path: string): Promise<void> {
    await this.session.send(packetType.remove, (packet) => packet.text(path));
  }

  async makeDirectory(path: string): Promise<void> {
    await this.session.send(packetType.mkdir, (packet) => packet.text(path).permissions(0o700));
  }

  /** Replaces an existing file atomically; false where the server only has a rename that refuses to. */
  async replace(from: string, to: string): Promise<boolean> {
    return await this.#extended('posix-rename@openssh.com', (packet) => packet.text(from).text(to));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.session.send(packetType.rename, (packet) => packet.text(from).text(to));
  }

  /** Bytes that we may still write; undefined where the server does not say. */
  async freeBytes(path: string): Promise<number | undefined> {
    if (!this.session.extensions.has('statvfs@openssh.com')) return undefined;
    const { body } = await this.session.send(packetType.extended, (packet) =>
      packet.text('statvfs@openssh.com').text(path),
    );
    const [, fragmentBytes = 0, , , available = 0] = Array.from({ length: 5 }, () => body.uint64());
    return fragmentBytes * available;
  }

  /** Closes without waiting: nothing depends on the result. */
  closeSoon(handle: SftpHandle): void {
    this.close(handle).catch(() => undefined);
  }

  async #open(path: string, flags: number): Promise<SftpHandle> {
    const { body } = await this.session.send(packetType.open, (packet) =>
      packet.text(path).uint32(flags).permissions(0o600),
    );
    // A copy: the response shares its memory with others that arrived with it.
    return Buffer.from(body.bytes());
  }

  async #readBlock(handle: SftpHandle, offset: number, length: number): Promise<Buffer | undefined> {
    try {
      const { body } = await this.session.send(packetType.read, (packet) =>
        packet.bytes(handle).uint64(offset).uint32(length),
      );
      const data = body.bytes();
      return data.length === 0 ? undefined : data;
    } catch (error) {
      if (error instanceof SftpStatus && error.code === status.eof) return undefined;
      throw error;
    }
  }

  async #extended(name: string, write: Parameters<SftpSession['send']>[1]): Promise<boolean> {
    if (!this.session.extensions.has(name)) return false;
    await this.session.send(packetType.extended, (packet) => write(packet.text(name)));
    return true;
  }
}

async function askLimits(session: SftpSession): Promise<{ readBytes: number; writeBytes: number }> {
  const bounded = (bytes: number): number =>
    bytes === 0 ? defaultBlockBytes : Math.min(Math.max(bytes, 1024), maxBlockBytes);
  if (!session.extensions.has('limits@openssh.com'))
    return { readBytes: defaultBlockBytes, writeBytes: defaultBlockBytes };
  const { body } = await session.send(packetType.extended, (packet) => packet.text('limits@openssh.com'));
  const [, read = 0, write = 0] = Array.from({ length: 3 }, () => body.uint64());
  return { readBytes: bounded(read), writeBytes: bounded(write) };
}

/** Applies the same operation to each block of a range, several at a time. */
async function inBlocks(
  length: number,
  blockBytes: number,
  work: (start: number, length: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const workOn = async (): Promise<void> => {
    while (next < length && !failed) {
      const start = next;
      next += blockBytes;
      await work(start, Math.min(blockBytes, length - start));
    }
  };
  const count = Math.min(requestsAtOnce, Math.ceil(length / blockBytes));
  const working = Array.from({ length: count }, () =>
    workOn().catch((error: unknown) => {
      failed = true;
      throw error;
    }),
  );
  // On return the caller may reuse the buffer, so no request may still use it.
  await Promise.allSettled(working);
  await Promise.all(working);
}
