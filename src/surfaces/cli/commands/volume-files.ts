import { toPrintable } from '../../../model/byte-string.ts';
import { parsePlaceInVolume } from '../../../model/target.ts';
import { formatEntries } from '../entries.ts';
import { reportProblems } from '../finish-work.ts';
import type { Session } from '../session.ts';
import { AppError } from '../../../model/errors.ts';

export async function runVolumeBrowse(
  session: Session,
  _flags: object,
  args: readonly string[],
): Promise<void> {
  const [volume = '', path] = args;
  const engine = await session.app.volumes.onHost();
  const result = await engine.browse(parsePlaceInVolume(volume, path), { signal: session.signal });
  session.printer.print({
    json: () => result.entries.map(session.app.volumes.asJson.entry),
    text: () => formatEntries(result.entries),
    quiet: () => result.entries.map((entry) => toPrintable(entry.name)),
  });
  reportProblems(session, result.problems);
}

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
