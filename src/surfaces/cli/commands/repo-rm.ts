import type { Session } from '../session.ts';

export async function runRepoRm(
  session: Session,
  _flags: object,
  [name = '']: readonly string[],
): Promise<void> {
  const record = await session.app.repositories.remove(name);
  session.printer.print({
    json: () => record,
    text: () =>
      `Forgot the repository ${record.name}. What is in ${record.location} stays, and so does its key (${record.passwordReference}).`,
    quiet: () => [record.name],
  });
}
