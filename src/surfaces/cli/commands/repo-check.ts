import { formatAge, formatDuration } from '../../../model/duration.ts';
import { printableField } from '../../../model/quote.ts';
import { failAll } from '../fail-all.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export async function runRepoCheck(
  session: Session,
  _flags: object,
  names: readonly string[],
): Promise<void> {
  const states = await session.app.repositories.check(names, { signal: session.signal });
  const now = new Date();
  session.printer.print({
    json: () => states.map((state) => session.app.repositories.asJson.state(state)),
    text: () =>
      formatTable(states, [
        { title: 'NAME', value: ({ name }) => printableField(name) },
        { title: 'STATE', value: ({ error }) => (error === undefined ? 'good' : error.code) },
        { title: 'SNAPSHOTS', value: ({ snapshots }) => String(snapshots ?? ''), align: 'right' },
        { title: 'NEWEST', value: ({ newest }) => (newest === undefined ? '' : formatAge(newest, now)) },
        { title: 'TIME', value: ({ durationMs }) => formatDuration(durationMs), align: 'right' },
        { title: 'LOCATION', value: ({ location }) => printableField(location) },
      ]),
    quiet: () => states.filter(({ error }) => error === undefined).map(({ name }) => name),
  });
  const errors = states.flatMap(({ error }) => (error === undefined ? [] : [error]));
  failAll(session, errors, states.length - errors.length);
}
