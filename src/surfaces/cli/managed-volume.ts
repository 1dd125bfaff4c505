import type { App } from '../../app/app.ts';
import { AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import type { Session } from './session.ts';

export interface ManagedRequest {
  readonly name: string;
  /** Completes "Cannot …": `change the owner of`. */
  readonly action: string;
  /** How to do it for another volume, in words. */
  readonly instead?: string | undefined;
}

/** The managed volumes, for work that only they support: an engine's volume is refused with that reason. */
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

/** Undefined when there is none, or no engine answers. */
async function findEngineVolume({ app, signal }: Session, name: string): Promise<Volume | undefined> {
  try {
    await app.recoverAtStart('host');
    return await (await app.volumes.onHost()).inspect(name, { signal });
  } catch (error) {
    if (!isAppError(error) || error.code === 'cancelled') throw error;
    return undefined;
  }
}
