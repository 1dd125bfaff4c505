import type { App } from '../../app/app.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import type { Session } from './session.ts';

export interface ManagedRequest {
  readonly name: string;
  /** Completes "Cannot …": `change the owner of`. */
  readonly action: string;
  /** What does it for another volume, in words. */
  readonly instead?: string | undefined;
}

/** The volumes that Holdfast keeps itself, for work that only they can have: of an engine's volume it is said that it is one. */
export async function managedFor(
  session: Session,
  { name, action, instead }: ManagedRequest,
): Promise<Awaited<ReturnType<App['volumes']['managed']>>> {
  const managed = await session.app.volumes.managed();
  if ((await managed.find(name)) !== undefined) return managed;
  const engines = await findEngineVolume(session, name);
  if (engines === undefined) return managed;
  throw new AppError(
    'unsupported',
    `Cannot ${action} volume ${quote(name)}: Holdfast does not keep it itself`,
    {
      detail: `It is a volume of the engine, on its driver ${quote(engines.driver)}.`,
      hint: instead,
    },
  );
}

/** Undefined where there is none, or no engine answers. */
async function findEngineVolume({ app, signal }: Session, name: string): Promise<Volume | undefined> {
  try {
    await app.recoverAtStart('host');
    return await (await app.volumes.onHost()).inspect(name, { signal });
  } catch (error) {
    if (!isAppError(error) || error.code === 'cancelled') throw error;
    return undefined;
  }
}
