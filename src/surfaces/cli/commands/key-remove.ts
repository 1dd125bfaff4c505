import type { Session } from '../session.ts';

export async function runKeyRemove(session: Session, _flags: object, args: readonly string[]): Promise<void> {
  const report = await session.app.repositories.removeKey(args[0] ?? '', { signal: session.signal });
  const { key, catalogReference } = report;
  const lines = [`Removed the key ${key.id.slice(0, 8)}.`];
  if (catalogReference !== undefined)
    lines.push('Holdfast knew the repository by it, and uses the password that was given now from now on.');
  session.printer.print({ json: () => report, text: () => lines.join('\n'), quiet: () => [key.id] });
}
