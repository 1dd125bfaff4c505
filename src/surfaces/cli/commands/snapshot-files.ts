import type { SnapshotEntry } from '../../../app/app.ts';
import { toPrintable } from '../../../model/byte-string.ts';
import { entryTime, type ListedEntry } from '../../../model/listed-entry.ts';
import { formatEntries } from '../entries.ts';
import type { Session } from '../session.ts';
import { AppError } from '../../../model/errors.ts';

export interface LsFlags {
  readonly recursive?: boolean;
  readonly dumps?: boolean;
}

export async function runLs(session: Session, flags: LsFlags, args: readonly string[]): Promise<void> {
  const [snapshot = '', path = ''] = args;
  const depth = flags.recursive ? undefined : 1;
  const entries: ListedEntry[] = [];
  for await (const entry of session.app.snapshots.listFiles(
    { snapshot, path, depth, dumps: flags.dumps },
    { signal: session.signal, onNote: session.note },
  )) {
    // A folder is listed by its content; anything else by itself.
    if (entry.path !== '' || entry.type !== 'dir') entries.push(shown(entry, path));
  }
  session.printer.print({
    json: () => entries.map(session.app.snapshots.asJson.entry),
    text: () => formatEntries(entries),
    quiet: () => entries.map((entry) => toPrintable(entry.name)),
  });
}

function shown(entry: SnapshotEntry, path: string): ListedEntry {
  const { type, mode, uid, gid, size, linkTarget } = entry;
  const name = entry.path === '' ? path.replace(/^.*\//, '') : entry.path;
  return { name, type, mode, uid, gid, size, linkTarget, modifiedAt: entryTime(entry.mtimeNs) };
}

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
