import { isAppError, type AppError } from '../../../model/errors.ts';
import { failAll } from '../fail-all.ts';
import type { Session } from '../session.ts';

export async function runVolumeProtect(session: Session, _: object, args: readonly string[]): Promise<void> {
  await change(session, args, true);
}

export async function runVolumeUnprotect(
  session: Session,
  _: object,
  args: readonly string[],
): Promise<void> {
  await change(session, args, false);
}

async function change(session: Session, names: readonly string[], isProtected: boolean): Promise<void> {
  const engine = await session.app.volumes.onHost();
  const done: string[] = [];
  const errors: AppError[] = [];
  for (const name of names) {
    try {
      const managed = await session.app.volumes.managed();
      const isOwn = (await managed.find(name)) !== undefined;
      if (isOwn) await managed.protect(name, isProtected);
      // If a container engine sees it: for the engine too, or only there.
      if (!isOwn || (await engine.list()).some((volume) => volume.name === name))
        await engine.protect(name, isProtected, { signal: session.signal });
      done.push(name);
    } catch (error) {
      if (!isAppError(error) || error.code === 'cancelled') throw error;
      errors.push(error);
    }
  }
  session.printer.print({
    json: () => ({
      [isProtected ? 'protected' : 'unprotected']: done,
      failures: errors.map(({ code, message }) => ({ code, message })),
    }),
    text: () => done.join('\n'),
    quiet: () => done,
  });
  failAll(session, errors, done.length);
}
