import { AppError, errorMessage } from '../../model/errors.ts';

/** A request of the volume plugin protocol, version 1: `POST /VolumeDriver.Create` with a JSON body. */
export interface PluginRequest {
  readonly name: string;
  /** The holder of the mount; each id counts once. */
  readonly id: string;
  readonly options: Readonly<Record<string, string>>;
}

export interface PluginVolume {
  readonly Name: string;
  readonly Mountpoint?: string;
  /** RFC 3339 without a fraction: any other text breaks the whole answer. */
  readonly CreatedAt?: string;
  readonly Status?: Readonly<Record<string, unknown>>;
}

/** A non-empty `Err` is a failure, with a message for people. */
export type PluginAnswer =
  | { readonly Err: string }
  | { readonly Implements: readonly string[] }
  | { readonly Mountpoint: string; readonly Err: '' }
  | { readonly Volume: PluginVolume; readonly Err: '' }
  | { readonly Volumes: readonly PluginVolume[]; readonly Err: '' }
  | { readonly Capabilities: { readonly Scope: 'local' | 'global' } };

export const mediaType = 'application/vnd.docker.plugins.v1.2+json';

/**
 * Reads a body, whatever its Content-Type: the engine sends none, and Podman sends another. An empty one,
 * which a repeated request may have, is an empty request.
 */
export function parsePluginRequest(body: Uint8Array): PluginRequest {
  const text = Buffer.from(body).toString('utf8').trim();
  const value = text === '' ? {} : parseJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badRequest('it is no object');
  const fields = value as Record<string, unknown>;
  return {
    name: textOf(fields, 'Name'),
    id: textOf(fields, 'ID'),
    options: optionsOf(fields['Opts']),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badRequest(errorMessage(error));
  }
}

function textOf(fields: Record<string, unknown>, key: string): string {
  const value = fields[key] ?? '';
  if (typeof value !== 'string') throw badRequest(`"${key}" is no text`);
  return value;
}

function optionsOf(value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw badRequest('"Opts" is no object');
  const options = Object.entries(value).map(([key, option]): [string, string] => {
    if (typeof option !== 'string') throw badRequest(`option "${key}" is no text`);
    return [key, option];
  });
  return Object.fromEntries(options);
}

function badRequest(reason: string): AppError {
  return new AppError('usage', `The request cannot be read: ${reason}`);
}
