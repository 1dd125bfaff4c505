import { amount } from '../../model/size.ts';
import { AppError } from '../../model/errors.ts';
import { CheckReport, neverReady } from './check-report.ts';
import { connectPostgres, type PostgresClient } from './postgresql-client.ts';
import type { CheckRequest, PresetCheck, PresetServer } from './preset.ts';
import { untilReady } from './until-ready.ts';

/** Waits until the server has recovered, then reads every row of every table, which finds damaged pages. */
export async function checkPostgres(server: PresetServer, request: CheckRequest): Promise<PresetCheck> {
  const answer = await untilReady(server, request.readyWithinMs, () => connectPostgres(server));
  if (answer.value === undefined) return neverReady(answer.error);
  const client = answer.value;
  const report = new CheckReport(answer.readyAfterMs);
  const deadline = performance.now() + request.countWithinMs;
  try {
    const names = await client.sql(
      'template1',
      'SELECT to_json(datname) FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname;',
    );
    report.fact(amount(names.length, 'database'));
    let tables = 0;
    let rows = 0;
    for (const json of names) {
      const database = JSON.parse(json) as string;
      const counted = await countTables(client, database, { deadline, report });
      tables += counted.tables;
      rows += counted.rows;
    }
    report.fact(amount(tables, 'table'));
    report.fact(amount(rows, 'row'));
    report.count('tables', tables);
    report.count('rows', rows);
  } catch (error) {
    if (server.signal?.aborted === true) throw error;
    report.problem(error);
  }
  return report.done();
}

interface Counting {
  readonly deadline: number;
  readonly report: CheckReport;
}

/** The server itself composes one statement for each table, so names need no quoting here. */
const countEach = `SELECT format('SELECT json_build_array(%L, %L, count(*)) FROM ONLY %I.%I;', n.nspname, c.relname, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
ORDER BY 1 \\gexec`;

async function countTables(
  client: PostgresClient,
  database: string,
  { deadline, report }: Counting,
): Promise<{ tables: number; rows: number }> {
  const leftMs = Math.ceil(deadline - performance.now());
  if (leftMs <= 0) {
    report.fact(`"${database}" was not counted: the time was over`);
    return { tables: 0, rows: 0 };
  }
  // An index would be enough to count, and prove nothing about the rows.
  const settings = `SET statement_timeout = ${leftMs}; SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off;`;
  let lines: string[];
  try {
    lines = await client.sql(database, `${settings}\n${countEach}\n`, { withinMs: leftMs + 10_000 });
  } catch (error) {
    const isSlow =
      error instanceof AppError && /57014|did not end within/.test(`${error.message} ${error.detail}`);
    if (!isSlow) throw error;
    report.fact(`"${database}" was not counted to its end: it took too long`);
    return { tables: 0, rows: 0 };
  }
  let rows = 0;
  for (const line of lines) {
    const [schema, table, count] = JSON.parse(line) as [string, string, number];
    report.count(`rows.${database}.${schema}.${table}`, count);
    rows += count;
  }
  return { tables: lines.length, rows };
}
