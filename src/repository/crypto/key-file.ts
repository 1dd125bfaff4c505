import { randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { AppError, isAppError } from '../../model/errors.ts';
import { type MasterKey, Sealer } from './seal.ts';

/** A file in `keys/`: the master key, sealed with a key that scrypt derives from a password. */
export interface KeyFile {
  readonly created: string;
  readonly username: string;
  readonly hostname: string;
  readonly kdf: string;
  readonly N: number;
  readonly r: number;
  readonly p: number;
  /** base64 */
  readonly salt: string;
  /** base64 */
  readonly data: string;
}

export interface KeyFileOrigin {
  readonly created: string;
  readonly username: string;
  readonly hostname: string;
}

const scryptAsync = promisify<string | Uint8Array, Uint8Array, number, object, Buffer>(scrypt);

/** The cost of trying a password: N·r·128 bytes of memory, and time in proportion to N·r·p. */
export type KeyCost = Pick<KeyFile, 'N' | 'r' | 'p'>;

/** 64 MiB and about a quarter of a second. */
const usualCost: KeyCost = { N: 65536, r: 8, p: 1 };

export function newMasterKey(): MasterKey {
  return { encrypt: randomBytes(32), macK: randomBytes(16), macR: maskR(randomBytes(16)) };
}

export async function sealMasterKey(
  key: MasterKey,
  password: Uint8Array,
  { created, username, hostname }: KeyFileOrigin,
  cost: KeyCost = usualCost,
): Promise<KeyFile> {
  const salt = randomBytes(64);
  const sealer = new Sealer(await derive(password, salt, cost));
  const plain = JSON.stringify({
    mac: { k: base64(key.macK), r: base64(key.macR) },
    encrypt: base64(key.encrypt),
  });
  const data = sealer.seal(Buffer.from(plain));
  return { created, username, hostname, kdf: 'scrypt', ...cost, salt: base64(salt), data: base64(data) };
}

/** The master key; undefined when the password does not open this file. */
export async function openMasterKey(file: KeyFile, password: Uint8Array): Promise<MasterKey | undefined> {
  if (file.kdf !== 'scrypt')
    throw new AppError('unsupported', `The key file uses "${file.kdf}", which is unknown here`);
  const parameters = { N: file.N, r: file.r, p: file.p };
  assertSane(parameters);
  if (typeof file.salt !== 'string' || typeof file.data !== 'string')
    throw new AppError('integrity', 'A key file is damaged: a field is missing');
  const sealer = new Sealer(await derive(password, Buffer.from(file.salt, 'base64'), parameters));
  try {
    return parseMasterKey(sealer.openInPlace(Buffer.from(file.data, 'base64')).toString('utf8'));
  } catch (error) {
    // Sealed content that is not a key was written by a user who knows the password, and not by a program of
    // this format.
    if (isAppError(error, 'integrity') || !isAppError(error)) return undefined;
    throw error;
  }
}

function parseMasterKey(json: string): MasterKey {
  const parsed = JSON.parse(json) as { mac: { k: string; r: string }; encrypt: string };
  const key = {
    encrypt: Buffer.from(parsed.encrypt, 'base64'),
    macK: Buffer.from(parsed.mac.k, 'base64'),
    macR: Buffer.from(parsed.mac.r, 'base64'),
  };
  if (key.encrypt.length !== 32 || key.macK.length !== 16 || key.macR.length !== 16) {
    throw new AppError('integrity', 'The master key in a key file has a wrong size');
  }
  return key;
}

async function derive(password: Uint8Array, salt: Uint8Array, parameters: KeyCost): Promise<MasterKey> {
  const { N, r, p } = parameters;
  const maxmem = 256 * r * (N + p + 2);
  const derived = await scryptAsync(password, salt, 64, { ...parameters, maxmem });
  return {
    encrypt: derived.subarray(0, 32),
    macK: derived.subarray(32, 48),
    macR: maskR(derived.subarray(48, 64)),
  };
}

/** 256 MiB of memory. restic uses at most 64 MiB. */
const mostMemory = 256 << 20;
/**
 * In units of N·r·p: sixteen times our own cost, some seconds. restic chooses parameters for half a second on
 * the machine that writes the key.
 */
const mostWork = 16 * usualCost.N * usualCost.r * usualCost.p;

/**
 * The cost of trying a password on the file; undefined for parameters that are invalid or exceed the limits.
 */
export function workOf({ N, r, p }: KeyCost): number | undefined {
  const whole = [N, r, p].every((value) => Number.isSafeInteger(value) && value > 0);
  const isPowerOfTwo = N > 1 && Number.isInteger(Math.log2(N));
  if (!whole || !isPowerOfTwo || N * r * 128 > mostMemory || N * r * p > mostWork) return undefined;
  return N * r * p;
}

/** A hostile key file must not make us take all memory, or hours. */
function assertSane(parameters: KeyCost): void {
  if (workOf(parameters) === undefined) {
    throw new AppError('unsupported', 'A key file asks for an unreasonable amount of memory or time');
  }
}

/** Clears the bits that Poly1305 requires to be clear. */
function maskR(r: Buffer): Buffer {
  const masked = Buffer.from(r);
  for (const i of [3, 7, 11, 15]) masked.writeUInt8(masked.readUInt8(i) & 15, i);
  for (const i of [4, 8, 12]) masked.writeUInt8(masked.readUInt8(i) & 252, i);
  return masked;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
