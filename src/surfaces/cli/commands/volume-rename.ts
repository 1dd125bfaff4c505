import type { Session } from '../session.ts';

export async function runVolumeRename(session: Session, _: object, args: readonly string[]): Promise<void> {
  const [name = '', to = ''] = args;
  const volume = await session.app.volumes.rename(name, to, { signal: session.signal });
  session.printer.print({ json: () => volume, text: () => volume.name, quiet: () => [volume.name] });
}
