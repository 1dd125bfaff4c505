import { isAppError } from '../../model/errors.ts';
import type { Image } from '../containers.ts';
import type { EngineClient } from './engine-client.ts';

interface EngineImage {
  readonly Id: string;
  readonly Config?: {
    readonly User?: string | null;
    readonly Volumes?: Readonly<Record<string, unknown>> | null;
    readonly Env?: readonly string[] | null;
  } | null;
}

/** What an image declares; undefined when the engine does not have it. Pulls nothing. */
export async function findImage(
  client: Pick<EngineClient, 'json'>,
  name: string,
  signal: AbortSignal | undefined,
): Promise<Image | undefined> {
  try {
    const image = await client.json<EngineImage>({
      method: 'GET',
      path: imagePath(name),
      action: `Cannot look at the image "${name}"`,
      signal,
    });
    return {
      id: image.Id,
      user: image.Config?.User ?? '',
      volumes: Object.keys(image.Config?.Volumes ?? {}),
      environment: Object.fromEntries((image.Config?.Env ?? []).map(readVariable)),
    };
  } catch (error) {
    if (isAppError(error, 'not-found')) return undefined;
    throw error;
  }
}

/** The engine takes slashes in an image's name unescaped. */
export function imagePath(name: string): string {
  return `/images/${name.split('/').map(encodeURIComponent).join('/')}/json`;
}

function readVariable(text: string): [string, string] {
  const equals = text.indexOf('=');
  return equals === -1 ? [text, ''] : [text.slice(0, equals), text.slice(equals + 1)];
}
