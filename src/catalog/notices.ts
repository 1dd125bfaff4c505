import type { DatabaseSync } from 'node:sqlite';
import type { NoticeRecord } from './catalog.ts';
import { number, text } from './row-fields.ts';

export function findNotice(database: DatabaseSync, key: string): NoticeRecord | undefined {
  const row = database.prepare('SELECT * FROM notice WHERE key = ?').get(key);
  if (row === undefined) return undefined;
  return {
    key: text(row, 'key'),
    fingerprint: text(row, 'fingerprint'),
    count: number(row, 'count'),
    firstAt: text(row, 'first_at'),
    lastAt: text(row, 'last_at'),
    toldAt: text(row, 'told_at'),
    toldCount: number(row, 'told_count'),
  };
}

export function saveNotice(database: DatabaseSync, notice: NoticeRecord): void {
  database
    .prepare(
      `INSERT OR REPLACE INTO notice (key, fingerprint, count, first_at, last_at, told_at, told_count)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      notice.key,
      notice.fingerprint,
      notice.count,
      notice.firstAt,
      notice.lastAt,
      notice.toldAt,
      notice.toldCount,
    );
}

export function removeNotice(database: DatabaseSync, key: string): void {
  database.prepare('DELETE FROM notice WHERE key = ?').run(key);
}
