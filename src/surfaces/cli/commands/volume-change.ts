import type { Session } from '../session.ts';
import { AppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import { managedFor } from '../managed-volume.ts';
import { parseSize } from '../../../model/size.ts';

export async function runVolumeRename(session: Session, _: object, args: readonly string[]): Promise<void> {
  const [name = '', to = ''] = args;
  const volume = await session.app.volumes.rename(name, to, { signal: session.signal });
  session.printer.print({ json: () => volume, text: () => volume.name, quiet: () => [volume.name] });
}

export async function runVolumeLabel(session: Session, _: object, args: readonly string[]): Promise<void> {
  const [name = '', change = ''] = args;
  const instead = 'An engine sets labels only when a volume is made: clone it to one with other labels.';
  const managed = await managedFor(session, { name, action: 'change the labels of', instead });
  const volume = await managed.label(name, Object.fromEntries([parseLabelChange(change)]), {
    signal: session.signal,
  });
  session.printer.print({ json: () => volume, text: () => volume.name, quiet: () => [volume.name] });
}

/** `KEY=VALUE` sets, `KEY-` removes. */
function parseLabelChange(text: string): [string, string | undefined] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  if (at === -1 && text.length > 1 && text.endsWith('-')) return [text.slice(0, -1), undefined];
  throw new AppError('usage', `Label ${quote(text)} is neither KEY=VALUE nor KEY-`);
}

export async function runVolumeResize(session: Session, _: object, args: readonly string[]): Promise<void> {
  const [name = '', request = ''] = args;
  const managed = await managedFor(session, { name, action: 'resize' });
  const by = request.startsWith('+') ? parseSize(request.slice(1)) : undefined;
  const now = (await managed.find(name))?.options['size'];
  if (by !== undefined && now === undefined) {
    throw new AppError(
      'usage',
      `Cannot resize volume ${quote(name)} by ${quote(request)}: it has no size now`,
      {
        hint: 'Say the whole size.',
      },
    );
  }
  const sizeBytes = by === undefined ? parseSize(request) : parseSize(now ?? '') + by;
  const volume = await managed.resize(name, sizeBytes, { signal: session.signal });
  session.printer.print({ json: () => volume, text: () => volume.name, quiet: () => [volume.name] });
}

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
