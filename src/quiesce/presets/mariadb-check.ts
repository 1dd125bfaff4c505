import { amount } from '../../model/size.ts';
import { AppError } from '../../model/errors.ts';
import { CheckReport, neverReady } from './check-report.ts';
import { backquote, connectMariadb, type MariadbClient, unescapeField } from './mariadb-client.ts';
import type { CheckRequest, PresetCheck, PresetServer } from './preset.ts';
import { untilReady } from './until-ready.ts';

interface Table {
  readonly schema: string;
  readonly name: string;
}

/** Waits until the server has recovered, has it check each table, and counts the rows. */
export async function checkMariadb(server: PresetServer, request: CheckRequest): Promise<PresetCheck> {
  const answer = await untilReady(server, request.readyWithinMs, () => connectMariadb(server));
  if (answer.value === undefined) return neverReady(answer.error);
  const client = answer.value;
  const report = new CheckReport(answer.readyAfterMs);
  const deadline = performance.now() + request.countWithinMs;
  try {
    const tables = await listTables(client);
    report.fact(amount(new Set(tables.map(({ schema }) => schema)).size, 'database'));
    report.fact(amount(tables.length, 'table'));
    report.count('tables', tables.length);
    const rows = await countRows(client, tables, { deadline, report });
    report.fact(amount(rows, 'row'));
    report.count('rows', rows);
  } catch (error) {
    if (server.signal?.aborted === true) throw error;
    report.problem(error);
  }
  return report.done();
}

/** A table that cannot be opened is listed without an engine. */
async function listTables(client: MariadbClient): Promise<Table[]> {
  const lines = await client.sql(
    `SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
     WHERE TABLE_TYPE = 'BASE TABLE' AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')
     ORDER BY 1, 2;`,
  );
  return lines.map((line) => {
    const [schema = '', name = ''] = line.split('\t').map(unescapeField);
    return { schema, name };
  });
}

interface Counting {
  readonly deadline: number;
  readonly report: CheckReport;
}

async function countRows(
  client: MariadbClient,
  tables: readonly Table[],
  { deadline, report }: Counting,
): Promise<number> {
  let rows = 0;
  for (const [index, { schema, name }] of tables.entries()) {
    const leftMs = Math.ceil(deadline - performance.now());
    if (leftMs <= 0) {
      report.fact(`${amount(tables.length - index, 'table')} not counted: the time was over`);
      break;
    }
    const table = `${backquote(schema)}.${backquote(name)}`;
    let lines: string[];
    try {
      lines = await client.sql(`CHECK TABLE ${table};\nSELECT COUNT(*) FROM ${table};\n`, {
        withinMs: leftMs,
      });
    } catch (error) {
      if (!(error instanceof AppError && error.message.includes('did not end within'))) throw error;
      report.fact(`"${schema}.${name}" was not counted to its end: it took too long`);
      continue;
    }
    const count = Number(lines.at(-1));
    // Columns: table, operation, kind of message, message.
    const bad = lines.slice(0, -1).filter((line) => !isGood(line.split('\t')));
    for (const line of bad) report.problem(new Error(line.split('\t').map(unescapeField).join(' ')));
    report.count(`rows.${schema}.${name}`, count);
    rows += count;
  }
  return rows;
}

function isGood([, , kind, message]: readonly string[]): boolean {
  if (kind === 'status') return message === 'OK' || message === 'Table is already up to date';
  // Engines that cannot check say so in a note.
  return kind === 'note';
}
