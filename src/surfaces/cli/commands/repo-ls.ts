import { printableField } from '../../../model/quote.ts';
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
            { title: 'NAME', value: ({ name }) => printableField(name) },
            { title: 'DEFAULT', value: ({ isDefault }) => (isDefault ? 'yes' : '') },
            { title: 'LOCATION', value: ({ location }) => printableField(location) },
            { title: 'ID', value: ({ repositoryId }) => repositoryId.slice(0, 8) },
            {
              title: 'OPTIONS',
              value: ({ options }) =>
                printableField(
                  Object.entries(options ?? {})
                    .map(([key, value]) => `${key}=${value}`)
                    .join(' '),
                ),
            },
          ]),
    quiet: () => repositories.map(({ name }) => name),
  });
}
