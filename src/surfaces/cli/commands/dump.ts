import type { Session } from '../session.ts';

export async function runDump(session: Session, _flags: object, args: readonly string[]): Promise<void> {
  const [snapshot = '', path = ''] = args;
  const write = session.openSink();
  for await (const chunk of session.app.dump(
    { snapshot, path },
    { signal: session.signal, onNote: session.warn },
  ))
    await write(chunk);
}
