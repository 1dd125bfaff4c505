import { writeDurably } from '../../../lib/durable-file.ts';
import { knownError } from '../../../lib/known-error.ts';
import { AppError, errnoOf } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import type { Session } from '../session.ts';

export interface MetricsFlags {
  readonly output?: string;
}

export async function runMetrics(session: Session, { output }: MetricsFlags): Promise<void> {
  const { families, text } = await session.app.metrics.read({
    signal: session.signal,
    onNote: session.note,
  });
  if (output === undefined) {
    return session.printer.print({
      json: () => families,
      text: () => text,
      quiet: () => text.trimEnd().split('\n'),
    });
  }
  try {
    // Readable for node_exporter, which runs as another user.
    await writeDurably(output, text, { mode: 0o644 });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT')
      throw new AppError('not-found', `The folder of ${quote(output)} does not exist`, { cause: error });
    throw knownError(error, `Cannot write ${quote(output)}`);
  }
}
