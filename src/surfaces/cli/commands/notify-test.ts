import type { SendResult } from '../../../app/app.ts';
import { printableField } from '../../../model/quote.ts';
import { AppError } from '../../../model/errors.ts';
import type { Session } from '../session.ts';

export async function runNotifyTest(
  session: Session,
  _flags: object,
  args: readonly string[],
): Promise<void> {
  const results = await session.app.activity.testNotifications(args[0], { signal: session.signal });
  session.printer.print({
    json: () => results,
    text: () => results.map(inWords).join('\n'),
    quiet: () => results.filter(({ isSent }) => isSent).map(({ channel }) => channel),
  });
  const failed = results.filter(({ isSent }) => !isSent);
  if (failed.length === 0) return;
  const names = failed.map(({ channel }) => `"${channel}"`).join(', ');
  throw new AppError(
    failed.length < results.length ? 'partial' : 'failed',
    `The test did not get through over ${names}`,
  );
}

function inWords({ channel, type, isSent, attempts, message }: SendResult): string {
  const tries = attempts > 1 ? ` after ${attempts} attempts` : '';
  return isSent
    ? `${channel} (${type}): sent${tries}`
    : `${channel} (${type}): not sent${tries}: ${printableField(message ?? '')}`;
}
