import type { Container } from '../hosts/containers.ts';
import { isAppError } from '../model/errors.ts';
import type { ContainerStart } from '../model/snapshot.ts';
import type { Consumer } from '../model/volume.ts';
import type { JobOptions, Protection } from './protection.ts';

/** How the consumers of a volume were started, for its record. Nothing where no containers run. */
export async function containerStarts(
  parts: Protection,
  consumers: readonly Consumer[],
  { signal }: JobOptions,
): Promise<{ readonly starts?: readonly ContainerStart[] }> {
  if (consumers.length === 0) return {};
  const { containers } = await parts.host();
  if (containers === undefined) return {};
  const starts: ContainerStart[] = [];
  for (const { id } of consumers) {
    const container = await containers.find(id, { signal }).catch((error: unknown) => {
      // It is a courtesy to a drill: nothing fails for it.
      if (signal?.aborted === true || isAppError(error, 'cancelled')) throw error;
    });
    if (container !== undefined) starts.push(startOf(container));
  }
  return starts.length === 0 ? {} : { starts };
}

/** Pure. */
export function startOf({ name, command, entrypoint, user, environment }: Container): ContainerStart {
  return {
    name,
    command,
    entrypoint: entrypoint ?? [],
    user,
    environment: Object.fromEntries(
      Object.entries(environment).filter(([key, value]) => !mayBeSecret(key, value)),
    ),
  };
}

const secretNames = /pass|pwd|secret|token|key|cred|auth|private|salt|signature|dsn|connection|session/i;

/** By its name, or by a value with a login in it (`postgres://user:password@host`). */
function mayBeSecret(name: string, value: string): boolean {
  return secretNames.test(name) || /:\/\/[^/\s]*@/.test(value);
}
