import { formatAge } from '../../../model/duration.ts';
import { printableField } from '../../../model/quote.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';
import { type NewKeyFlags, newKeyOf } from '../new-key-flags.ts';
import type { ChangedKey } from '../../../app/app.ts';

export async function runKeyList(session: Session): Promise<void> {
  const keys = await session.app.repositories.listKeys({ signal: session.signal });
  const now = new Date();
  session.printer.print({
    json: () => keys,
    text: () =>
      formatTable(keys, [
        { title: 'ID', value: ({ id }) => id.slice(0, 8) },
        { title: 'IN USE', value: ({ isCurrent }) => (isCurrent ? 'yes' : '') },
        { title: 'USER', value: ({ username }) => printableField(username) },
        { title: 'MACHINE', value: ({ hostname }) => printableField(hostname) },
        {
          title: 'CREATED',
          value: ({ isDamaged, created }) => (isDamaged ? 'damaged' : formatAge(created, now)),
        },
      ]),
    quiet: () => keys.map(({ id }) => id),
  });
}

export async function runKeyAdd(session: Session, flags: NewKeyFlags): Promise<void> {
  const report = await session.app.repositories.addKey(newKeyOf(flags), { signal: session.signal });
  const { key, keyFile } = report;
  const lines = [`Added the key ${key.id.slice(0, 8)}. Those that were there open the repository as before.`];
  if (keyFile !== undefined) lines.push(`It is in ${keyFile}. Keep a copy of it in another place.`);
  session.printer.print({ json: () => report, text: () => lines.join('\n'), quiet: () => [key.id] });
}

export async function runKeyChange(session: Session, flags: NewKeyFlags): Promise<void> {
  const report = await session.app.repositories.changeKey(newKeyOf(flags), { signal: session.signal });
  session.printer.print({
    json: () => report,
    text: () => describeChange(report),
    quiet: () => [report.key.id],
  });
}

function describeChange({ key, keyFile, removedId, catalogReference, formerKeyFile }: ChangedKey): string {
  const lines = [`The key ${key.id.slice(0, 8)} takes the place of ${removedId.slice(0, 8)}.`];
  if (keyFile !== undefined) {
    lines.push(
      `It is in ${keyFile}.`,
      'Keep a copy of it in another place: without it the backups cannot be read, not even by you.',
    );
  }
  if (catalogReference !== undefined) lines.push('Holdfast uses it for this repository from now on.');
  if (formerKeyFile !== undefined)
    lines.push(`${formerKeyFile} opens this repository no more, only copies of it from before.`);
  return lines.join('\n');
}

export async function runKeyRemove(session: Session, _flags: object, args: readonly string[]): Promise<void> {
  const report = await session.app.repositories.removeKey(args[0] ?? '', { signal: session.signal });
  const { key, catalogReference } = report;
  const lines = [`Removed the key ${key.id.slice(0, 8)}.`];
  if (catalogReference !== undefined)
    lines.push('Holdfast knew the repository by it, and uses the password that was given now from now on.');
  session.printer.print({ json: () => report, text: () => lines.join('\n'), quiet: () => [key.id] });
}
