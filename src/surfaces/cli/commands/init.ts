import { type ChunkerFromFlags, chunkerFromOf } from '../chunker-from.ts';
import { parsePairs } from '../parse-pairs.ts';
import type { Session } from '../session.ts';
import type { InitReport } from '../../../app/app.ts';

export interface InitFlags extends ChunkerFromFlags {
  readonly option?: readonly string[];
  readonly default?: boolean;
}

export async function runInit(session: Session, flags: InitFlags): Promise<void> {
  const storeOptions = flags.option && parsePairs(flags.option, 'option');
  const { signal, note: onNote } = session;
  const chunkerFrom = chunkerFromOf(flags);
  const makeDefault = flags.default === true ? true : undefined;
  const report = await session.app.repositories.init({
    storeOptions,
    chunkerFrom,
    makeDefault,
    signal,
    onNote,
  });
  if (report.sameDisk) {
    session.warn(
      'Warning: the repository is on the same disk as the state folder. When that disk dies, the backups die with it: copy it elsewhere, or use --repo on another disk.',
    );
  }
  session.printer.print({
    json: () => report,
    text: () => [describe(report), ...describeDefault(report)].join('\n'),
    quiet: () => [report.location],
  });
}

/**
 * Names the default repository when this is not it: one made by a typo would otherwise get every future
 * backup.
 */
function describeDefault({ name, isDefault, defaultRepository }: InitReport): string[] {
  if (isDefault || defaultRepository === undefined) return [];
  const { name: other, location } = defaultRepository;
  return [
    `The default stays ${other} (${location}): commands take that one unless they name another, as --repo ${name} does.`,
    `To change that: holdfast repo default ${name}`,
  ];
}

/** The output of `init` and `repo add`. */
export function describe(report: InitReport): string {
  const { created, location, repositoryId, keyFile } = report;
  const lines = [
    `${created ? 'Made' : 'Took over'} the repository ${location} (${repositoryId.slice(0, 8)}).`,
  ];
  if (keyFile !== undefined) {
    lines.push(
      `Its key is ${keyFile}.`,
      'Keep a copy of the key in another place: without it the backups cannot be read, not even by you.',
    );
  }
  return lines.join('\n');
}
