import type { Session } from '../session.ts';

export interface VolumeRotateFlags {
  readonly key?: string;
}

export async function runVolumeRotate(
  session: Session,
  flags: VolumeRotateFlags,
  args: readonly string[],
): Promise<void> {
  const [name = ''] = args;
  const managed = await session.app.volumes.managed();
  const volume = await managed.rotate(name, flags.key, { signal: session.signal });
  session.printer.print({ json: () => volume, text: () => volume.name, quiet: () => [volume.name] });
}
