import type { CliContext } from './context.ts';
import { type Session, withSession } from './session.ts';

interface Request {
  readonly kind: 'volume' | 'snapshot' | 'target' | 'path' | 'repository' | 'policy';
  readonly partial: string;
}

/**
 * Names that complete an argument: volumes, snapshots. Gives none when that takes too long, or needs a
 * missing password.
 */
export async function proposeValues(
  context: CliContext,
  { kind, partial }: Request,
): Promise<readonly string[]> {
  const found: string[] = [];
  const asksHost = kind === 'volume' || kind === 'target' || kind === 'snapshot';
  const propose = async (session: Session): Promise<void> => {
    const signal = AbortSignal.timeout(2000);
    if (kind === 'volume' || kind === 'target') {
      const volumes = await (await session.app.volumes.onHost()).list(undefined, { signal }).catch(() => []);
      found.push(...volumes.map((volume) => volume.name));
    }
    if (kind === 'repository') {
      const repositories = await session.app.repositories.list().catch(() => []);
      found.push(...repositories.map(({ name }) => name));
    }
    if (kind === 'policy') {
      // A completion proposes what it can find, and never fails.
      const configuration = await session.app.policies.configuration().catch(() => undefined);
      found.push(...(configuration?.policies ?? []).map(({ name }) => name));
    }
    if (kind === 'snapshot' || (kind === 'target' && partial.includes('@'))) {
      const snapshots = await session.app.snapshots.list({}, { signal }).catch(() => []);
      const at = partial.indexOf('@');
      found.push(...snapshots.map(({ id, name }) => (at < 0 ? id.slice(0, 8) : `${name}@${id.slice(0, 8)}`)));
    }
  };
  await withSession(context, { quiet: true }, propose, { recovers: asksHost ? ['host'] : [] });
  return found.filter((name) => name.startsWith(partial));
}
