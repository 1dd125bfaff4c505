import { type ChunkerFromFlags, chunkerFromOf } from '../chunker-from.ts';
import { parsePairs } from '../parse-pairs.ts';
import type { Session } from '../session.ts';
import { describe } from './init.ts';
import { printableField } from '../../../model/quote.ts';
import { formatTable } from '../table.ts';
import { formatAge, formatDuration } from '../../../model/duration.ts';
import { failAll } from '../fail-all.ts';

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

export async function runRepoLs(session: Session): Promise<void> {
  const repositories = await session.app.repositories.list();
  session.printer.print({
    json: () => repositories,
    text: () =>
      repositories.length === 0
        ? 'There are no repositories.'
        : formatTable(repositories, [
            { title: 'NAME', value: ({ name }) => printableField(name) },
            { title: 'DEFAULT', value: ({ isDefault }) => (isDefault ? 'yes' : '') },
            { title: 'LOCATION', value: ({ location }) => printableField(location) },
            { title: 'ID', value: ({ repositoryId }) => repositoryId.slice(0, 8) },
            {
              title: 'OPTIONS',
              value: ({ options }) =>
                printableField(
                  Object.entries(options ?? {})
                    .map(([key, value]) => `${key}=${value}`)
                    .join(' '),
                ),
            },
          ]),
    quiet: () => repositories.map(({ name }) => name),
  });
}

export async function runRepoRm(
  session: Session,
  _flags: object,
  [name = '']: readonly string[],
): Promise<void> {
  const record = await session.app.repositories.remove(name);
  session.printer.print({
    json: () => record,
    text: () =>
      `Forgot the repository ${record.name}. What is in ${record.location} stays, and so does its key (${record.passwordReference}).`,
    quiet: () => [record.name],
  });
}

export async function runRepoDefault(
  session: Session,
  _flags: object,
  [name = '']: readonly string[],
): Promise<void> {
  const record = await session.app.repositories.setDefault(name);
  session.printer.print({
    json: () => record,
    text: () => `Commands that name no repository take ${record.name} (${record.location}) from now on.`,
    quiet: () => [record.name],
  });
}

export async function runRepoCheck(
  session: Session,
  _flags: object,
  names: readonly string[],
): Promise<void> {
  const states = await session.app.repositories.check(names, { signal: session.signal });
  const now = new Date();
  session.printer.print({
    json: () => states.map((state) => session.app.repositories.asJson.state(state)),
    text: () =>
      formatTable(states, [
        { title: 'NAME', value: ({ name }) => printableField(name) },
        { title: 'STATE', value: ({ error }) => (error === undefined ? 'good' : error.code) },
        { title: 'SNAPSHOTS', value: ({ snapshots }) => String(snapshots ?? ''), align: 'right' },
        { title: 'NEWEST', value: ({ newest }) => (newest === undefined ? '' : formatAge(newest, now)) },
        { title: 'TIME', value: ({ durationMs }) => formatDuration(durationMs), align: 'right' },
        { title: 'LOCATION', value: ({ location }) => printableField(location) },
      ]),
    quiet: () => states.filter(({ error }) => error === undefined).map(({ name }) => name),
  });
  const errors = states.flatMap(({ error }) => (error === undefined ? [] : [error]));
  failAll(session, errors, states.length - errors.length);
}
