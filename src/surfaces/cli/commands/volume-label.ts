import { AppError } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import { managedFor } from '../managed-volume.ts';
import type { Session } from '../session.ts';

export async function runVolumeLabel(session: Session, _: object, args: readonly string[]): Promise<void> {
  const [name = '', change = ''] = args;
  const instead = 'An engine sets labels only when a volume is made: clone it to one with other labels.';
  const managed = await managedFor(session, { name, action: 'change the labels of', instead });
  const volume = await managed.label(name, Object.fromEntries([parseChange(change)]), {
    signal: session.signal,
  });
  session.printer.print({ json: () => volume, text: () => volume.name, quiet: () => [volume.name] });
}

/** `KEY=VALUE` sets, `KEY-` removes. */
function parseChange(text: string): [string, string | undefined] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  if (at === -1 && text.length > 1 && text.endsWith('-')) return [text.slice(0, -1), undefined];
  throw new AppError('usage', `Label ${quote(text)} is neither KEY=VALUE nor KEY-`);
}
