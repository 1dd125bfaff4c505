import type { ChangedKey } from '../../../app/app.ts';
import { type NewKeyFlags, newKeyOf } from '../new-key-flags.ts';
import type { Session } from '../session.ts';

export async function runKeyChange(session: Session, flags: NewKeyFlags): Promise<void> {
  const report = await session.app.repositories.changeKey(newKeyOf(flags), { signal: session.signal });
  session.printer.print({
    json: () => report,
    text: () => describe(report),
    quiet: () => [report.key.id],
  });
}

function describe({ key, keyFile, removedId, catalogReference, formerKeyFile }: ChangedKey): string {
  const lines = [`The key ${key.id.slice(0, 8)} takes the place of ${removedId.slice(0, 8)}.`];
  if (keyFile !== undefined) {
    lines.push(
      `It is in ${keyFile}.`,
      'Keep a copy of it in another place: without it nobody can read the backups, not even you.',
    );
  }
  if (catalogReference !== undefined) lines.push('Holdfast uses it for this repository from now on.');
  if (formerKeyFile !== undefined)
    lines.push(`${formerKeyFile} opens this repository no more, only copies of it from before.`);
  return lines.join('\n');
}
