import type { DatabaseSync } from 'node:sqlite';
import {
  drillOutcomes,
  type DrillRecord,
  type UsageHost,
  type UsageMemory,
  type UsagePlace,
  type UsagePlaceName,
  type UsageSample,
  type UsageWrite,
  usageWays,
} from './catalog.ts';
import {
  flagOf,
  number,
  oneOf,
  optionalNumber,
  optionalNumberOf,
  optionalText,
  optionalTextOf,
  type RowArray,
  text,
  textOf,
  wordOf,
} from './row-fields.ts';
import { inTransaction } from './transaction.ts';

/** `run` turns SQLite's errors into the user's. */
export function sqliteUsageMemory(run: <T>(operation: (database: DatabaseSync) => T) => T): UsageMemory {
  return {
    listHosts: () => run(listHosts),
    listPlaces: (hostIdentity) => run((database) => listPlaces(database, hostIdentity)),
    listSamples: (hostIdentity, place, wanted) =>
      run((database) => listSamples(database, hostIdentity, { ...place, ...wanted })),
    write: (written) => run((database) => inTransaction(database, () => write(database, written))),
    newestSnapshots: () => run(newestSnapshots),
    noteDrill: (drill) => run((database) => inTransaction(database, () => noteDrill(database, drill))),
    listDrills: () => run(listDrills),
  };
}

function listHosts(database: DatabaseSync): UsageHost[] {
  return database
    .prepare('SELECT identity, kind, endpoint, looked_at FROM usage_host ORDER BY looked_at DESC')
    .all()
    .map((row) => ({
      identity: text(row, 'identity'),
      kind: oneOf(row, 'kind', ['docker', 'podman', 'embedded']),
      endpoint: optionalText(row, 'endpoint'),
      lookedAtMs: number(row, 'looked_at'),
    }));
}

const placeKinds = ['volume', 'disk'] as const;

function listPlaces(database: DatabaseSync, hostIdentity: string): UsagePlace[] {
  const statement = database.prepare(
    `SELECT kind, name, lineage, driver, stack, anonymous, disk, bytes, files, capacity, free, measured_at, way, problem,
       growth
     FROM usage_place WHERE host_identity = ? ORDER BY kind, name`,
  );
  statement.setReturnArrays(true);
  return statement.all(hostIdentity).map((row) => placeFrom(row as unknown as RowArray));
}

/** By index: destructuring would call the iterator of each of a thousand rows before it is compiled. */
function placeFrom(row: RowArray): UsagePlace {
  return {
    kind: wordOf(row[0], 'kind', placeKinds),
    name: textOf(row[1], 'name'),
    lineage: optionalTextOf(row[2], 'lineage'),
    driver: optionalTextOf(row[3], 'driver'),
    stack: optionalTextOf(row[4], 'stack'),
    anonymous: flagOf(row[5], 'anonymous'),
    disk: optionalTextOf(row[6], 'disk'),
    bytes: optionalNumberOf(row[7], 'bytes'),
    files: optionalNumberOf(row[8], 'files'),
    capacityBytes: optionalNumberOf(row[9], 'capacity'),
    freeBytes: optionalNumberOf(row[10], 'free'),
    measuredAtMs: optionalNumberOf(row[11], 'measured_at'),
    way: row[12] === null ? undefined : wordOf(row[12], 'way', usageWays),
    problem: optionalTextOf(row[13], 'problem'),
    growthBytesPerDay: optionalNumberOf(row[14], 'growth'),
  };
}

function listSamples(
  database: DatabaseSync,
  hostIdentity: string,
  wanted: UsagePlaceName & { readonly spanSeconds: number; readonly fromSeconds: number },
): Pick<UsageSample, 'atSeconds' | 'bytes'>[] {
  return database
    .prepare(
      `SELECT at, usage_sample.bytes FROM usage_sample JOIN usage_place ON number = place
       WHERE host_identity = ? AND kind = ? AND name = ? AND span = ? AND bucket >= ? ORDER BY bucket`,
    )
    .all(hostIdentity, wanted.kind, wanted.name, wanted.spanSeconds, Math.floor(wanted.fromSeconds))
    .map((row) => ({ atSeconds: number(row, 'at'), bytes: number(row, 'bytes') }));
}

function write(database: DatabaseSync, { host, places, gone, samples, kept }: UsageWrite): void {
  const { identity } = host;
  database
    .prepare('INSERT OR REPLACE INTO usage_host (identity, kind, endpoint, looked_at) VALUES (?, ?, ?, ?)')
    .run(identity, host.kind, host.endpoint ?? null, host.lookedAtMs);
  forgetOldHosts(database, identity);
  const remove = database.prepare(
    'DELETE FROM usage_place WHERE host_identity = ? AND kind = ? AND name = ?',
  );
  for (const { kind, name } of gone) remove.run(identity, kind, name);
  for (const place of places) writePlace(database, identity, place);
  // A place that another process has removed meanwhile has no samples.
  const insert = database.prepare(
    `INSERT OR REPLACE INTO usage_sample (place, span, bucket, at, bytes)
     SELECT number, ?, ?, ?, ? FROM usage_place WHERE host_identity = ? AND kind = ? AND name = ?`,
  );
  for (const { kind, name, spanSeconds, bucketSeconds, atSeconds, bytes } of samples)
    insert.run(spanSeconds, bucketSeconds, atSeconds, bytes, identity, kind, name);
  for (const one of kept) keep(database, identity, one);
}

/** Engines that are set up anew have a new identity each time. */
const keptHosts = 20;

/** Their places go with them, and the samples of those. */
function forgetOldHosts(database: DatabaseSync, current: string): void {
  const old = `SELECT identity FROM usage_host WHERE identity <> ? ORDER BY looked_at DESC LIMIT -1 OFFSET ${keptHosts - 1}`;
  const places = database.prepare(`DELETE FROM usage_place WHERE host_identity IN (${old})`);
  places.run(current);
  database.prepare(`DELETE FROM usage_host WHERE identity IN (${old})`).run(current);
}

function writePlace(database: DatabaseSync, hostIdentity: string, place: UsagePlace): void {
  database
    .prepare(
      `INSERT INTO usage_place (host_identity, kind, name, lineage, driver, stack, anonymous, disk, bytes, files,
         capacity, free, measured_at, way, problem, growth)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (host_identity, kind, name) DO UPDATE SET
         lineage = excluded.lineage, driver = excluded.driver, stack = excluded.stack,
         anonymous = excluded.anonymous, disk = excluded.disk, bytes = excluded.bytes, files = excluded.files,
         capacity = excluded.capacity, free = excluded.free, measured_at = excluded.measured_at,
         way = excluded.way, problem = excluded.problem, growth = excluded.growth`,
    )
    .run(
      hostIdentity,
      place.kind,
      place.name,
      place.lineage ?? null,
      place.driver ?? null,
      place.stack ?? null,
      place.anonymous ? 1 : 0,
      place.disk ?? null,
      place.bytes ?? null,
      place.files ?? null,
      place.capacityBytes ?? null,
      place.freeBytes ?? null,
      place.measuredAtMs ?? null,
      place.way ?? null,
      place.problem ?? null,
      place.growthBytesPerDay ?? null,
    );
}

/** Rows before and after `atSeconds` are counted apart, as either may come from a clock that was wrong. */
function keep(
  database: DatabaseSync,
  hostIdentity: string,
  { kind, name, spanSeconds, atSeconds, rows }: UsageWrite['kept'][number],
): void {
  const found = database
    .prepare('SELECT number FROM usage_place WHERE host_identity = ? AND kind = ? AND name = ?')
    .get(hostIdentity, kind, name);
  if (found === undefined) return;
  const place = number(found, 'number');
  database
    .prepare(
      `DELETE FROM usage_sample WHERE place = ?1 AND span = ?2 AND bucket <= (SELECT bucket FROM usage_sample
         WHERE place = ?1 AND span = ?2 AND bucket <= ?3 ORDER BY bucket DESC LIMIT 1 OFFSET ?4)`,
    )
    .run(place, spanSeconds, atSeconds, rows);
  database
    .prepare(
      `DELETE FROM usage_sample WHERE place = ?1 AND span = ?2 AND bucket >= (SELECT bucket FROM usage_sample
         WHERE place = ?1 AND span = ?2 AND bucket > ?3 ORDER BY bucket LIMIT 1 OFFSET ?4)`,
    )
    .run(place, spanSeconds, atSeconds, rows);
}

/** By lineage, the time of the newest run that stored a snapshot of it. */
function newestSnapshots(
  database: DatabaseSync,
): Map<string, { readonly id: string; readonly time: string }> {
  const rows = database
    .prepare(
      `SELECT lineage, snapshot_id, started_at FROM (SELECT DISTINCT lineage FROM usage_place WHERE lineage IS NOT NULL)
       JOIN run ON run.number = (SELECT number FROM run WHERE volume_identity = lineage
         AND outcome = 'good' AND snapshot_id IS NOT NULL ORDER BY number DESC LIMIT 1)`,
    )
    .all();
  return new Map(
    rows.map((row) => [
      text(row, 'lineage'),
      { id: text(row, 'snapshot_id'), time: text(row, 'started_at') },
    ]),
  );
}

const keptDrills = 10_000;

function noteDrill(database: DatabaseSync, drill: DrillRecord): void {
  database
    .prepare(
      `INSERT OR REPLACE INTO drill (volume_identity, outcome, snapshot_id, snapshot_time, drilled_at, recover_ms)
       VALUES (?, ?, ?, ?, ?, ?)`,
    )
    .run(
      drill.volumeIdentity,
      drill.outcome,
      drill.snapshotId,
      drill.snapshotTime,
      drill.drilledAt,
      drill.recoverMs ?? null,
    );
  // Removed volumes leave theirs.
  database
    .prepare(
      `DELETE FROM drill WHERE (volume_identity, outcome) IN (SELECT volume_identity, outcome FROM drill
         WHERE NOT (volume_identity = ? AND outcome = ?) ORDER BY drilled_at DESC LIMIT -1 OFFSET ${keptDrills - 1})`,
    )
    .run(drill.volumeIdentity, drill.outcome);
}

function listDrills(database: DatabaseSync): DrillRecord[] {
  return database
    .prepare('SELECT * FROM drill ORDER BY drilled_at')
    .all()
    .map((row) => ({
      volumeIdentity: text(row, 'volume_identity'),
      outcome: oneOf(row, 'outcome', drillOutcomes),
      snapshotId: text(row, 'snapshot_id'),
      snapshotTime: text(row, 'snapshot_time'),
      drilledAt: text(row, 'drilled_at'),
      recoverMs: optionalNumber(row, 'recover_ms'),
    }));
}
