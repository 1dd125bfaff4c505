import { formatAge } from '../../../model/duration.ts';
import { printableField } from '../../../model/quote.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

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
