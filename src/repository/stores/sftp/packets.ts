/** Packets of the SSH File Transfer Protocol, version 3, with OpenSSH's extensions. */
export const packetType = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rename: 18,
  extended: 200,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extendedReply: 201,
} as const;

export const openFlag = { read: 1, write: 2, create: 8, exclusive: 32 } as const;

export const status = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  unsupported: 8,
} as const;

const attribute = { size: 1, owner: 2, permissions: 4, times: 8, extended: 0x80000000 } as const;

export interface SftpAttributes {
  readonly sizeBytes: number | undefined;
  /** With the file type's bits, as in `st_mode`. */
  readonly mode: number | undefined;
  readonly modifiedMs: number | undefined;
}

export interface SftpEntry {
  readonly name: string;
  readonly attributes: SftpAttributes;
}

/** Writes the fields of a packet. Large ones are not copied. */
export class PacketWriter {
  readonly #parts: Uint8Array[] = [];

  byte(value: number): this {
    this.#parts.push(Uint8Array.of(value));
    return this;
  }

  uint32(value: number): this {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeUInt32BE(value >>> 0);
    this.#parts.push(bytes);
    return this;
  }

  uint64(value: number): this {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeBigUInt64BE(BigInt(value));
    this.#parts.push(bytes);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.uint32(value.length).#parts.push(value);
    return this;
  }

  text(value: string): this {
    return this.bytes(Buffer.from(value, 'utf8'));
  }

  /** Only permissions are ever set. */
  permissions(mode: number): this {
    return this.uint32(attribute.permissions).uint32(mode);
  }

  /** The packet, preceded by its length, in pieces. */
  finish(): Uint8Array[] {
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(this.#parts.reduce((sum, part) => sum + part.length, 0));
    return [length, ...this.#parts];
  }
}

/** Reads the fields of a packet. Throws when the packet is too short. */
export class PacketReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  byte(): number {
    return this.#take(1).readUInt8();
  }

  uint32(): number {
    return this.#take(4).readUInt32BE();
  }

  uint64(): number {
    return Number(this.#take(8).readBigUInt64BE());
  }

  bytes(): Buffer {
    return this.#take(this.uint32());
  }

  text(): string {
    return this.bytes().toString('utf8');
  }

  attributes(): SftpAttributes {
    const flags = this.uint32();
    const has = (flag: number): boolean => (flags & flag) !== 0;
    const sizeBytes = has(attribute.size) ? this.uint64() : undefined;
    if (has(attribute.owner)) this.#take(8);
    const mode = has(attribute.permissions) ? this.uint32() : undefined;
    let modifiedMs: number | undefined;
    if (has(attribute.times)) {
      this.#take(4);
      modifiedMs = this.uint32() * 1000;
    }
    if (has(attribute.extended)) {
      for (let count = this.uint32(); count > 0; count--) {
        this.bytes();
        this.bytes();
      }
    }
    return { sizeBytes, mode, modifiedMs };
  }

  names(): SftpEntry[] {
    const entries: SftpEntry[] = [];
    for (let count = this.uint32(); count > 0; count--) {
      const name = this.text();
      // A line in the form of `ls -l`.
      this.bytes();
      entries.push({ name, attributes: this.attributes() });
    }
    return entries;
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Error('an answer of the SFTP server is too short');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}

const maxPacketBytes = 1 << 20;

/** Splits a stream of bytes into packets, without their lengths. */
export class PacketSplitter {
  #chunks: Buffer[] = [];
  #bytes = 0;

  /** The packets that this chunk completes. */
  add(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    const packets: Buffer[] = [];
    for (let packet = this.#next(); packet !== undefined; packet = this.#next()) packets.push(packet);
    return packets;
  }

  #next(): Buffer | undefined {
    if (this.#bytes < 4) return undefined;
    if ((this.#chunks[0]?.length ?? 0) < 4) this.#join();
    const length = this.#chunks[0]?.readUInt32BE() ?? 0;
    if (length < 1 || length > maxPacketBytes)
      throw new Error(`it does not speak SFTP (a packet of ${length} bytes)`);
    if (this.#bytes < 4 + length) return undefined;
    if ((this.#chunks[0]?.length ?? 0) < 4 + length) this.#join();
    const [first = Buffer.alloc(0), ...others] = this.#chunks;
    const rest = first.subarray(4 + length);
    this.#chunks = rest.length > 0 ? [rest, ...others] : others;
    this.#bytes -= 4 + length;
    return first.subarray(4, 4 + length);
  }

  #join(): void {
    this.#chunks = [Buffer.concat(this.#chunks)];
  }
}
