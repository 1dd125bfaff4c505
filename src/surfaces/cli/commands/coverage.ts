import type { CoveredPlace } from '../../../app/app.ts';
import { formatAge } from '../../../model/duration.ts';
import { printableField } from '../../../model/quote.ts';
import { AppError } from '../../../model/errors.ts';
import { noteNoEngine } from '../note-no-engine.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export async function runCoverage(session: Session): Promise<void> {
  const report = await session.app.policies.coverage({ signal: session.signal, onNote: session.note });
  for (const { message } of report.unreachable) session.warn(`Warning: ${printableField(message)}`);
  const { places } = report;
  const unprotected = places.filter(({ state }) => state === 'unprotected');
  session.printer.print({
    json: () => report,
    text: () => (places.length === 0 ? 'There is no data yet.' : describe(places)),
    colours: { protected: 'green', unprotected: 'red' },
    quiet: () => unprotected.map(({ name }) => name),
  });
  if (places.length === 0) await noteNoEngine(session);
  if (unprotected.length === 0) return;
  const count = unprotected.length === 1 ? '1 place is' : `${unprotected.length} places are`;
  throw new AppError('partial', `Of ${places.length}, ${count} unprotected`, {
    hint: 'A policy in holdfast.yaml that names nothing covers all volumes, and with "bind-mounts: true" all bind mounts too. See docs/guides/policies.md.',
  });
}

function describe(places: readonly CoveredPlace[]): string {
  const now = new Date();
  return formatTable(places, [
    { title: 'STATE', value: ({ state }) => state },
    { title: 'KIND', value: ({ kind }) => kind },
    {
      title: 'NAME',
      value: ({ kind, name }) => printableField(kind === 'anonymous' ? name.slice(0, 12) : name),
    },
    { title: 'USED BY', value: ({ consumers }) => printableField(consumers.join(', ')) },
    { title: 'NEWEST', value: ({ newest }) => (newest === undefined ? '' : formatAge(newest.time, now)) },
    { title: 'WHY', value: ({ reason }) => printableField(reason) },
  ]);
}
