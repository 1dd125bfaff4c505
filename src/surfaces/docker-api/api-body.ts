import type { IncomingMessage } from 'node:http';
import { readBody } from '../serve/serve-http.ts';
import { ApiError } from './api-error.ts';

/** A client's request to create a volume. */
export interface CreateBody {
  readonly name: string;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly isCluster: boolean;
}

const bodyLimit = 4 << 20;

/** Refuses what the engine refuses, in its words. Without a body, the request is for an anonymous volume. */
export async function readCreateBody(request: IncomingMessage): Promise<CreateBody> {
  const text = (await readBody(request, bodyLimit)).toString('utf8');
  const type = request.headers['content-type'];
  if (type !== undefined || text !== '') checkType(type ?? '');
  return createBodyOf(text.trim() === '' ? {} : parsed(text));
}

function checkType(type: string): void {
  const media = type.split(';', 1)[0]?.trim().toLowerCase();
  if (media === '') {
    throw new ApiError(400, `malformed Content-Type header (${type}): mime: no media type`);
  }
  if (media !== 'application/json') {
    throw new ApiError(400, `unsupported Content-Type header (${type}): must be 'application/json'`);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const words = error instanceof Error ? error.message : '';
    if (words.startsWith('Unexpected non-whitespace character after JSON'))
      throw new ApiError(400, 'unexpected content after JSON');
    const [, position] = /at position (\d+)/.exec(words) ?? [];
    const isShort = position === undefined || Number(position) >= text.length;
    throw new ApiError(400, `invalid JSON: ${isShort ? 'unexpected EOF' : words}`);
  }
}

function createBodyOf(value: unknown): CreateBody {
  if (value === null) return createBodyOf({});
  const kind = kindOf(value);
  if (kind !== 'object')
    throw new ApiError(
      400,
      `invalid JSON: json: cannot unmarshal ${kind} into Go value of type volume.CreateOptions`,
    );
  // As the engine reads it: in any letter case, and the last duplicate counts.
  const fields = new Map(
    Object.entries(value as object).map(([key, field]) => [key.toLowerCase(), field as unknown]),
  );
  return {
    name: textOf(fields, 'Name'),
    driver: textOf(fields, 'Driver'),
    options: textsOf(fields, 'DriverOpts'),
    labels: textsOf(fields, 'Labels'),
    isCluster: isGiven(fields.get('clustervolumespec')),
  };
}

function textOf(fields: ReadonlyMap<string, unknown>, name: string): string {
  const value = fields.get(name.toLowerCase());
  if (!isGiven(value)) return '';
  if (typeof value !== 'string') throw wrongType(value, name, 'string');
  return value;
}

function textsOf(fields: ReadonlyMap<string, unknown>, name: string): Record<string, string> {
  const value = fields.get(name.toLowerCase());
  if (!isGiven(value)) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw wrongType(value, name, 'map[string]string');
  for (const entry of Object.values(value as object)) {
    if (typeof entry !== 'string' && entry !== null) throw wrongType(entry, name, 'string');
  }
  return Object.fromEntries(
    Object.entries(value as Record<string, string | null>).map(([key, text]) => [key, text ?? '']),
  );
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function wrongType(value: unknown, name: string, type: string): ApiError {
  return new ApiError(
    400,
    `invalid JSON: json: cannot unmarshal ${kindOf(value)} into Go struct field CreateOptions.${name} of type ${type}`,
  );
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}
