import { parsePairs } from '../parse-pairs.ts';
import type { Session } from '../session.ts';
import type { InitReport } from '../../../app.ts';

export interface InitFlags {
  readonly option?: readonly string[];
}

export async function runInit(session: Session, flags: InitFlags): Promise<void> {
  const storeOptions = flags.option && parsePairs(flags.option, 'option');
  const report = await session.app.init({ storeOptions, signal: session.signal, onNote: session.note });
  if (report.sameDisk) {
    session.warn(
      'Warning: the repository is on the same disk as the state folder. When that disk dies, the backups die with it: copy it elsewhere, or use --repo on another disk.',
    );
  }
  session.printer.print({ json: () => report, text: () => describe(report), quiet: () => [report.location] });
}

/** What `init` and `repo add` say. */
export function chunkerFrom(flags: InitFlags): OtherRepository | undefined {
  const reference = otherPassword(flags.fromPasswordFile, flags.fromPasswordCommand);
  if (flags.chunkerFrom !== undefined) return { repository: flags.chunkerFrom, passwordReference: reference };
  if (reference === undefined) return undefined;
  throw new AppError('usage', 'There is a password for a repository that is not named', {
    hint: 'Name it with --chunker-from.',
  });
}

function describe(report: InitReport): string {
  const { created, location, repositoryId, keyFile } = report;
  const lines = [
    `${created ? 'Made' : 'Took over'} the repository ${location} (${repositoryId.slice(0, 8)}).`,
  ];
  if (keyFile !== undefined) {
    lines.push(
      `Its key is ${keyFile}.`,
      'Keep a copy of the key in another place: without it nobody can read the backups, not even you.',
    );
  }
  return lines.join('\n');
}
