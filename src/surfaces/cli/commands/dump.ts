import { AppError } from '../../../model/errors.ts';
import type { Session } from '../session.ts';

export interface DumpFlags {
  readonly dump?: string;
}

export async function runDump(session: Session, flags: DumpFlags, args: readonly string[]): Promise<void> {
  const [snapshot = '', path] = args;
  if ((path === undefined) === (flags.dump === undefined))
    throw new AppError('usage', 'Name either a path in the snapshot, or a dump with "--dump"', {
      hint: '"/" is all of it.',
    });
  const write = session.openSink();
  for await (const chunk of session.app.dump(
    { snapshot, path: path ?? '', dump: flags.dump },
    { signal: session.signal, onNote: session.warn },
  ))
    await write(chunk);
}
