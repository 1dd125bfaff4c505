import { AppError } from '../../../model/errors.ts';
import { parsePlaceInVolume } from '../../../model/target.ts';
import type { Session } from '../session.ts';

export async function runVolumeCat(session: Session, _flags: object, args: readonly string[]): Promise<void> {
  const [volume = '', path] = args;
  const engine = await session.app.volumes.onHost();
  const write = session.openSink({ mayBeTerminal: true });
  const place = parsePlaceInVolume(volume, path);
  if (place.path === '')
    throw new AppError('usage', 'Which file to print is missing', {
      hint: 'Write "holdfast volume cat VOLUME PATH".',
    });
  for await (const chunk of engine.readFile(place, { signal: session.signal })) await write(chunk);
}
