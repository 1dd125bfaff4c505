import { AppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import type { Session } from '../session.ts';

export async function runVolumeLabel(session: Session, _: object, args: readonly string[]): Promise<void> {
  const [name = '', change = ''] = args;
  const managed = await session.app.managed();
  const volume = await managed.label(name, Object.fromEntries([parseChange(change)]));
  session.printer.print({ json: () => volume, text: () => volume.name, quiet: () => [volume.name] });
}

/** `KEY=VALUE` sets, `KEY-` takes away. */
function parseChange(text: string): [string, string | undefined] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  if (at === -1 && text.length > 1 && text.endsWith('-')) return [text.slice(0, -1), undefined];
  throw new AppError('usage', `Label ${quote(text)} is neither KEY=VALUE nor KEY-`);
}
