import { type ChunkerFromFlags, chunkerFromOf } from '../chunker-from.ts';
import { parsePairs } from '../parse-pairs.ts';
import type { Session } from '../session.ts';
import { describe } from './init.ts';

export interface RepoAddFlags extends ChunkerFromFlags {
  readonly option?: readonly string[];
  readonly default?: boolean;
}

export async function runRepoAdd(
  session: Session,
  flags: RepoAddFlags,
  [name = '', location = '']: readonly string[],
): Promise<void> {
  const options = flags.option && parsePairs(flags.option, 'option');
  const report = await session.app.repositories.add(
    { name, location, options, makeDefault: flags.default ?? false, chunkerFrom: chunkerFromOf(flags) },
    { signal: session.signal, onNote: session.note },
  );
  const use = report.isDefault
    ? 'It is the default: commands take it unless they name another.'
    : `Name it to use it: holdfast --repo ${name} backup …`;
  session.printer.print({
    json: () => report,
    text: () => `${describe(report)}\n${use}`,
    quiet: () => [report.name],
  });
}
