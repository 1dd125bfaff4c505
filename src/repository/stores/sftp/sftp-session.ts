import { AppError } from '../../../model/errors.ts';
import type { SftpAddress } from '../address.ts';
import { PacketReader, PacketSplitter, packetType, PacketWriter, status } from './packets.ts';
import { type SshProcess, startSsh } from './ssh-process.ts';

export interface SftpReply {
  readonly type: number;
  readonly body: PacketReader;
}

/** A negative status from the server. */
export class SftpStatus extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.name = 'SftpStatus';
    this.code = code;
  }
}

interface Waiting {
  readonly resolve: (reply: SftpReply) => void;
  readonly reject: (error: Error) => void;
}

const protocolVersion = 3;
const defaultStallMs = 60_000;

/**
 * One connection: many requests may be under way, and responses come in any order. When it breaks, all
 * pending requests fail.
 */
export class SftpSession implements AsyncDisposable {
  readonly #ssh: SshProcess;
  readonly #stallMs: number;
  readonly #waiting = new Map<number, Waiting>();
  readonly #splitter = new PacketSplitter();
  readonly extensions = new Map<string, string>();
  #nextId = 1;
  #onVersion: Waiting | undefined;
  #failure: Error | undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor(address: SftpAddress) {
    this.#ssh = startSsh(address);
    this.#stallMs = address.stallMs ?? defaultStallMs;
    const { child } = this.#ssh;
    child.stdout.on('data', (chunk: Buffer) => this.#receive(chunk));
    child.on('close', () => this.#fail(new Error('the connection broke')));
    child.on('error', (error) => this.#fail(error));
  }

  static async open(address: SftpAddress): Promise<SftpSession> {
    const session = new SftpSession(address);
    try {
      await session.#greet();
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  get isBroken(): boolean {
    return this.#failure !== undefined;
  }

  /** Sends a request and waits for its response. `write` adds the fields after the request's number. */
  async send(type: number, write: (packet: PacketWriter) => PacketWriter): Promise<SftpReply> {
    if (this.#failure) throw await this.#explained(this.#failure);
    using _hold = this.#ssh.hold.take();
    const id = this.#nextId++ >>> 0;
    const packet = write(new PacketWriter().byte(type).uint32(id)).finish();
    try {
      return await new Promise<SftpReply>((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
        this.#write(packet);
      });
    } catch (error) {
      throw await this.#explained(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fail(new Error('the connection was closed'));
    await this.#ssh[Symbol.asyncDispose]();
  }

  async #greet(): Promise<void> {
    using _hold = this.#ssh.hold.take();
    try {
      await new Promise<SftpReply>((resolve, reject) => {
        this.#onVersion = { resolve, reject };
        this.#write(new PacketWriter().byte(packetType.init).uint32(protocolVersion).finish());
      }).then(({ body }) => {
        body.uint32();
        while (!body.isAtEnd) this.extensions.set(body.text(), body.text());
      });
    } catch (error) {
      throw await this.#explained(error);
    }
  }

  #write(packet: readonly Uint8Array[]): void {
    const { stdin } = this.#ssh.child;
    this.#timer ??= setTimeout(() => this.#onStall(), this.#stallMs);
    stdin.cork();
    for (const part of packet) stdin.write(part);
    stdin.uncork();
  }

  #receive(chunk: Buffer): void {
    this.#timer?.refresh();
    try {
      for (const packet of this.#splitter.add(chunk)) this.#take(new PacketReader(packet));
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
    if (this.#waiting.size === 0 && this.#onVersion === undefined) this.#stopTimer();
  }

  #take(body: PacketReader): void {
    const type = body.byte();
    if (type === packetType.version) {
      const waiting = this.#onVersion;
      this.#onVersion = undefined;
      return waiting?.resolve({ type, body });
    }
    const id = body.uint32();
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (type !== packetType.status) return waiting?.resolve({ type, body });
    const code = body.uint32();
    if (code === status.ok) waiting?.resolve({ type, body });
    else waiting?.reject(new SftpStatus(code, body.isAtEnd ? '' : body.text()));
  }

  #onStall(): void {
    this.#fail(new Error(`it has not said a word for ${this.#stallMs / 1000} s`));
    this.#ssh.child.kill('SIGKILL');
  }

  #fail(error: Error): void {
    this.#stopTimer();
    this.#failure ??= error;
    this.#onVersion?.reject(this.#failure);
    this.#onVersion = undefined;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #explained(error: unknown): Promise<unknown> {
    return error instanceof SftpStatus || error instanceof AppError ? error : await this.#ssh.explain(error);
  }
}
