import type { Volume } from '../../../model/volume.ts';
import { type AppError, isAppError } from '../../../model/errors.ts';
import { failAll } from '../fail-all.ts';
import type { Session } from '../session.ts';

/** As docker: prints what exists, then fails for what does not. */
export async function runVolumeInspect(
  session: Session,
  _flags: object,
  args: readonly string[],
): Promise<void> {
  const engine = await session.app.volumes.onHost();
  const found: Volume[] = [];
  const missing: AppError[] = [];
  for (const name of args) {
    try {
      found.push(await engine.inspect(name, { signal: session.signal }));
    } catch (error) {
      // The engine refuses to tell of one whose plugin is gone or turned off.
      if (!isAppError(error, 'not-found') && !isAppError(error, 'conflict')) throw error;
      missing.push(error);
    }
  }
  const volumes = await session.app.volumes.withConsumersElsewhere(found, session.signal);
  if (volumes.length > 0 || missing.length === 0) {
    session.printer.print({
      json: () => volumes,
      text: () => JSON.stringify(volumes, null, 2),
      quiet: () => volumes.map((volume) => volume.name),
    });
  }
  failAll(session, missing, volumes.length);
}
