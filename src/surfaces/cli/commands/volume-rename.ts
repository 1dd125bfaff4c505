import type { Session } from '../session.ts';

export async function runVolumeRename(session: Session, _: object, args: readonly string[]): Promise<void> {
  const [name = '', to = ''] = args;
  const managed = await session.app.managed();
  const volume = await managed.rename(name, to, { signal: session.signal });
  session.printer.print({ json: () => volume, text: () => volume.name, quiet: () => [volume.name] });
}
