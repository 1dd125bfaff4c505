import { type ChunkerFromFlags, chunkerFromOf } from '../chunker-from.ts';
import { parsePairs } from '../parse-pairs.ts';
import type { Session } from '../session.ts';
import type { InitReport } from '../../../app.ts';

export interface InitFlags extends ChunkerFromFlags {
  readonly option?: readonly string[];
}

export async function runInit(session: Session, flags: InitFlags): Promise<void> {
  const storeOptions = flags.option && parsePairs(flags.option, 'option');
  const { signal, note: onNote } = session;
  const report = await session.app.init({ storeOptions, chunkerFrom: chunkerFromOf(flags), signal, onNote });
  if (report.sameDisk) {
    session.warn(
      'Warning: the repository is on the same disk as the state folder. When that disk dies, the backups die with it: copy it elsewhere, or use --repo on another disk.',
    );
  }
  session.printer.print({ json: () => report, text: () => describe(report), quiet: () => [report.location] });
}

/** What `init` and `repo add` say. */
export function describe(report: InitReport): string {
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
