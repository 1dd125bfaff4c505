import { parseVolumePath } from '../../../model/target.ts';
import type { Session } from '../session.ts';

export async function runVolumeCat(session: Session, _flags: object, args: readonly string[]): Promise<void> {
  const [volume = '', path = ''] = args;
  const engine = await session.app.volumes();
  const write = session.openSink({ mayBeTerminal: true });
  for await (const chunk of engine.readFile(
    { volume, path: parseVolumePath(path) },
    { signal: session.signal },
  ))
    await write(chunk);
}
