import { AppError } from '../../../model/errors.ts';
import { managedFor } from '../managed-volume.ts';
import type { Session } from '../session.ts';

export interface VolumeOwnFlags {
  readonly owner?: string;
  readonly group?: string;
  readonly mode?: string;
}

export async function runVolumeOwn(
  session: Session,
  { owner, group, mode }: VolumeOwnFlags,
  args: readonly string[],
): Promise<void> {
  const [name = ''] = args;
  if ([owner, group, mode].every((request) => request === undefined))
    throw new AppError('usage', 'Nothing is to be changed: give --owner, --group or --mode');
  const instead = `Change it in a container: docker run --rm -v ${name}:/volume IMAGE chown OWNER /volume`;
  const managed = await managedFor(session, { name, action: 'change the owner of', instead });
  const volume = await managed.own(name, { owner, group, mode }, { signal: session.signal });
  session.printer.print({ json: () => volume, text: () => volume.name, quiet: () => [volume.name] });
}
