import { AppError } from '../../../model/errors.ts';
import type { Session } from '../session.ts';

export interface DumpFlags {
  readonly dump?: string;
  readonly containerFile?: string;
}

export async function runDump(session: Session, flags: DumpFlags, args: readonly string[]): Promise<void> {
  const [snapshot = '', path] = args;
  const named = [path, flags.dump, flags.containerFile].filter((one) => one !== undefined);
  if (named.length !== 1)
    throw new AppError(
      'usage',
      'Name either a path in the snapshot, or a dump with "--dump", or a file with "--container-file"',
      { hint: '"/" is all of it.' },
    );
  const write = session.openSink();
  for await (const chunk of session.app.snapshots.dump(
    { snapshot, path: path ?? '', dump: flags.dump, containerFile: flags.containerFile },
    { signal: session.signal, onNote: session.warn },
  ))
    await write(chunk);
}
