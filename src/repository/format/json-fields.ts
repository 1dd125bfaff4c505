import { AppError } from '../../model/errors.ts';

/**
 * Reads the fields of untrusted JSON: each has the requested type, or is absent (null counts as absent), or
 * `integrity` is thrown.
 */
export class JsonFields {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #what: string;

  /** `what` begins the sentence "… is damaged: …". */
  constructor(json: unknown, what: string) {
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw new AppError('integrity', `${what} is damaged: it is no object`);
    this.#fields = json as Readonly<Record<string, unknown>>;
    this.#what = what;
  }

  text(key: string): string | undefined {
    const value = this.#value(key);
    if (value === undefined || typeof value === 'string') return value;
    throw this.#wrong(key, 'no text');
  }

  /** 0 when absent. */
  integer(key: string, max: number = Number.MAX_SAFE_INTEGER): number {
    const value = this.#value(key) ?? 0;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max) return value;
    throw this.#wrong(key, 'out of range');
  }

  /** A number of up to 64 bits, as a number or as its digits; 0 when absent. */
  largeInteger(key: string): bigint {
    const value = this.#value(key) ?? 0;
    if (typeof value === 'string' && /^\d{1,20}$/.test(value)) return BigInt.asUintN(64, BigInt(value));
    return BigInt(this.integer(key));
  }

  /** Empty when absent. */
  list(key: string): readonly unknown[] {
    const value = this.#value(key) ?? [];
    if (Array.isArray(value)) return value;
    throw this.#wrong(key, 'no list');
  }

  /** The id of a blob or a file: 64 hex digits. */
  id(key: string): string | undefined {
    const value = this.#value(key);
    if (value === undefined || isId(value)) return value;
    throw this.#wrong(key, 'no id');
  }

  ids(key: string): readonly string[] {
    const values = this.list(key);
    if (values.every(isId)) return values;
    throw this.#wrong(key, 'no list of ids');
  }

  #value(key: string): unknown {
    return Object.hasOwn(this.#fields, key) ? (this.#fields[key] ?? undefined) : undefined;
  }

  #wrong(key: string, reason: string): AppError {
    return new AppError('integrity', `${this.#what} is damaged: its "${key}" is ${reason}`);
  }
}

const idPattern = /^[0-9a-f]{64}$/;

/** 64 hex digits. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && idPattern.test(value);
}
