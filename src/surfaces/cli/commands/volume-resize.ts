import { AppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import { parseSize } from '../../../model/size.ts';
import { managedFor } from '../managed-volume.ts';
import type { Session } from '../session.ts';

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
