import { fromText, toPrintable } from '../../../model/byte-string.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export async function runRepoLs(session: Session): Promise<void> {
  const repositories = await session.app.repositories.list();
  session.printer.print({
    json: () => repositories,
    text: () =>
      repositories.length === 0
        ? 'There are no repositories.'
        : formatTable(repositories, [
            { title: 'NAME', value: ({ name }) => printable(name) },
            { title: 'DEFAULT', value: ({ isDefault }) => (isDefault ? 'yes' : '') },
            { title: 'LOCATION', value: ({ location }) => printable(location) },
            { title: 'ID', value: ({ repositoryId }) => repositoryId.slice(0, 8) },
            {
              title: 'OPTIONS',
              value: ({ options }) =>
                printable(
                  Object.entries(options ?? {})
                    .map(([key, value]) => `${key}=${value}`)
                    .join(' '),
                ),
            },
          ]),
    quiet: () => repositories.map(({ name }) => name),
  });
}

function printable(text: string): string {
  return toPrintable(fromText(text));
}
