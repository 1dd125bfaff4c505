import type { DatabaseSync } from 'node:sqlite';
import type { LogAnchor, UnwrittenLog } from './catalog.ts';
import { number, text } from './row-fields.ts';

export function findLogAnchor(database: DatabaseSync): LogAnchor | undefined {
  const row = database.prepare('SELECT sequence, mac, seal FROM log_anchor').get();
  if (row === undefined) return undefined;
  return { sequence: number(row, 'sequence'), mac: text(row, 'mac'), seal: text(row, 'seal') };
}

export function setLogAnchor(database: DatabaseSync, { sequence, mac, seal }: LogAnchor): void {
  database
    .prepare('INSERT OR REPLACE INTO log_anchor (key, sequence, mac, seal) VALUES (1, ?, ?, ?)')
    .run(sequence, mac, seal);
  database.exec('DELETE FROM log_unwritten');
}

export function findUnwrittenLog(database: DatabaseSync): UnwrittenLog | undefined {
  const row = database.prepare('SELECT count, since FROM log_unwritten').get();
  return row === undefined ? undefined : { count: number(row, 'count'), since: text(row, 'since') };
}

export function noteUnwrittenLog(database: DatabaseSync, { count, since }: UnwrittenLog): void {
  database
    .prepare(
      `INSERT INTO log_unwritten (key, count, since) VALUES (1, ?, ?)
       ON CONFLICT (key) DO UPDATE SET count = count + excluded.count`,
    )
    .run(count, since);
}
