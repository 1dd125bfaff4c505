import type { Session } from '../session.ts';

export async function runRepoDefault(
  session: Session,
  _flags: object,
  [name = '']: readonly string[],
): Promise<void> {
  const record = await session.app.repositories.setDefault(name);
  session.printer.print({
    json: () => record,
    text: () => `Commands that name no repository take ${record.name} (${record.location}) from now on.`,
    quiet: () => [record.name],
  });
}
