import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { checkMariadb } from './mariadb-check.ts';
import { connectMariadb, type MariadbClient, sqlRequest } from './mariadb-client.ts';
import { holdMariadb } from './mariadb-hold.ts';
import type { DiskEvidence, Dump, DumpToRestore, Preset } from './preset.ts';
import { endsWithLine, provenDump } from './proven-dump.ts';
import { type FoundOnDisk, below, folderWith, recogniseBy } from './recognise.ts';
import { clientFailed, findProgram, runClient } from './run-client.ts';

const images = [
  'mariadb',
  'mysql',
  'mysql-server',
  'mariadb-galera',
  'percona',
  'percona-server',
  'percona-xtradb-cluster',
  'mysql-cluster',
  'mariadb-server',
];

const dumpName = 'mariadb.sql';

/**
 * MariaDB, MySQL and Percona Server. While the lock is held, no commit happens and no table changes; files of
 * one instant are then what the server itself would call a backup, tables without transactions included.
 * Without the lock, InnoDB recovers from files of one instant as from a power cut.
 */
export const mariadb: Preset = {
  name: 'mariadb',
  title: 'MariaDB or MySQL',
  recognises: (subject) => recogniseBy(subject, { images, findOnDisk }),
  hold: async (server) => await holdMariadb(await connectMariadb(server)),
  dumps: async (server) => await mariadbDumps(await connectMariadb(server)),
  restoreDump: async (server, dump) => await restoreMariadbDump(await connectMariadb(server), dump),
  check: checkMariadb,
};

function findOnDisk(disk: DiskEvidence): FoundOnDisk | undefined {
  for (const sign of ['ibdata1', 'mysql.ibd'] as const) {
    const folder = folderWith(disk, sign === 'ibdata1' ? [sign, 'mysql'] : [sign]);
    if (folder !== undefined) return { folder, sign: below(folder, sign) };
  }
  return undefined;
}

async function mariadbDumps(client: MariadbClient): Promise<Dump[]> {
  const { server, login, product } = client;
  const program = await findProgram(server, ['mariadb-dump', 'mysqldump']);
  if (program === undefined)
    throw new AppError(
      'unsupported',
      `There is neither "mariadb-dump" nor "mysqldump" in ${quote(server.container.name)}`,
    );
  const { args, ...rest } = login;
  const isMysql = product === 'mysql' && !/mariadb/i.test(program.version);
  const command = [
    program.name,
    ...args,
    ...['--all-databases', '--single-transaction', '--quick', '--routines', '--events', '--triggers'],
    ...['--hex-blob', '--comments', '--skip-dump-date', '--default-character-set=utf8mb4'],
    ...(client.isRoot ? ['--flush-privileges'] : ['--no-tablespaces']),
    // A server with a history of its own would reject another's.
    ...(isMysql ? ['--set-gtid-purged=OFF'] : []),
  ];
  return [
    {
      name: dumpName,
      open: () =>
        provenDump(
          server,
          { ...rest, command },
          {
            subject: `MariaDB in ${quote(server.container.name)}`,
            isWhole: endsWithLine('-- Dump completed'),
            tailBytes: 1024,
          },
        ),
    },
  ];
}

/** Table by table: each one in the dump is dropped and recreated. MariaDB cannot roll such changes back. */
async function restoreMariadbDump(client: MariadbClient, { name, body }: DumpToRestore): Promise<void> {
  if (name !== dumpName)
    throw new AppError('usage', `${quote(name)} is no dump of MariaDB that Holdfast has made`);
  const { server, program, login } = client;
  const request = sqlRequest(program, login, { text: body, args: ['--max-allowed-packet=1G'] });
  const result = await runClient(server, request);
  if (result.exitCode === 0) return;
  const action = 'Cannot restore the dump, and tables that came before are restored already';
  throw clientFailed({ ...request, ...result, action, container: server.container.name });
}
