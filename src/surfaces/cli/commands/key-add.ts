import { type NewKeyFlags, newKeyOf } from '../new-key-flags.ts';
import type { Session } from '../session.ts';

export async function runKeyAdd(session: Session, flags: NewKeyFlags): Promise<void> {
  const report = await session.app.repositories.addKey(newKeyOf(flags), { signal: session.signal });
  const { key, keyFile } = report;
  const lines = [`Added the key ${key.id.slice(0, 8)}. Those that were there open the repository as before.`];
  if (keyFile !== undefined) lines.push(`It is in ${keyFile}. Keep a copy of it in another place.`);
  session.printer.print({ json: () => report, text: () => lines.join('\n'), quiet: () => [key.id] });
}
