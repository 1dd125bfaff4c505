import { beforeEach, expect, test } from 'vitest';
import type {
  Catalog,
  DrillRecord,
  RunRecord,
  UsagePlace,
  UsageSample,
  UsageWrite,
} from '../../src/catalog/catalog.ts';

const host = { identity: 'engine', kind: 'docker', endpoint: 'ssh://far', lookedAtMs: 5000 } as const;

const pg: UsagePlace = {
  kind: 'volume',
  name: 'pg\n\u202e',
  lineage: 'l1',
  driver: 'local',
  stack: 'shop',
  anonymous: false,
  disk: '/var',
  bytes: 2 ** 45,
  files: 12,
  capacityBytes: undefined,
  freeBytes: undefined,
  measuredAtMs: 4000,
  way: 'watched',
  problem: undefined,
  growthBytesPerDay: -7,
};

const unknown: UsagePlace = {
  ...pg,
  ...{ name: 'cache', lineage: undefined, driver: undefined, stack: undefined, anonymous: true },
  ...{ disk: undefined, bytes: undefined, files: undefined, measuredAtMs: undefined, way: undefined },
  ...{ problem: 'it is away', growthBytesPerDay: undefined },
};

function sample(bucketSeconds: number, bytes: number): UsageSample {
  return {
    ...{ kind: pg.kind, name: pg.name, spanSeconds: 60 },
    bucketSeconds,
    atSeconds: bucketSeconds + 9,
    bytes,
  };
}

/** The contract of catalogs for sizes and drills. `current` returns the catalog of a test, which is empty. */
export function testUsageMemory(current: () => Catalog): void {
  let usage: Catalog['usage'];

  beforeEach(() => {
    usage = current().usage;
  });

  function write(written: Partial<UsageWrite>): void {
    usage.write({ host, places: [], gone: [], samples: [], kept: [], ...written });
  }

  const all = (spanSeconds: number, fromSeconds = 0) =>
    usage.listSamples('engine', pg, { spanSeconds, fromSeconds });
  const bytesOf = (): number[] => all(60).map(({ bytes }) => bytes);

  test('sizes are found again by their host, with all that is known and all that is not', () => {
    write({ places: [unknown, pg] });
    const other = { identity: 'other', kind: 'embedded', endpoint: '', lookedAtMs: 9000 } as const;
    write({ host: other, places: [pg] });
    expect(usage.listHosts()).toEqual([other, host]);
    expect(usage.listPlaces('engine')).toEqual([unknown, pg]);
    expect(usage.listPlaces('nowhere')).toEqual([]);
    write({ places: [{ ...pg, bytes: 1 }], gone: [unknown] });
    expect(usage.listPlaces('engine')).toEqual([{ ...pg, bytes: 1 }]);
  });

  test('a later size replaces the one of its span, and a volume that goes takes its history along', () => {
    write({ places: [pg], samples: [sample(0, 1), sample(60, 2)] });
    write({ samples: [sample(60, 3)] });
    expect(all(60)).toEqual([
      { atSeconds: 9, bytes: 1 },
      { atSeconds: 69, bytes: 3 },
    ]);
    expect(all(60, 60)).toEqual([{ atSeconds: 69, bytes: 3 }]);
    expect(all(3600)).toEqual([]);
    write({ places: [{ ...pg, bytes: 4 }] });
    expect(bytesOf()).toEqual([1, 3]);
    write({ gone: [pg] });
    write({ places: [pg] });
    expect(bytesOf()).toEqual([]);
  });

  test('a sample of a volume that another process has removed is left out', () => {
    write({ samples: [sample(0, 1)] });
    write({ places: [pg] });
    expect(bytesOf()).toEqual([]);
  });

  test('the history is bounded on both sides of the time, so that a wrong clock wipes nothing', () => {
    write({ places: [pg], samples: [0, 60, 120, 180, 600, 660, 720].map((at) => sample(at, at)) });
    const kept = { kind: pg.kind, name: pg.name, spanSeconds: 60, rows: 3 };
    write({ kept: [{ ...kept, atSeconds: 200 }] });
    expect(bytesOf()).toEqual([60, 120, 180, 600, 660, 720]);
    write({ kept: [{ ...kept, rows: 2, atSeconds: 200 }] });
    expect(bytesOf()).toEqual([120, 180, 600, 660]);
    write({ kept: [{ ...kept, rows: 2, atSeconds: 700 }] });
    expect(bytesOf()).toEqual([600, 660]);
    write({ kept: [{ ...kept, rows: 2, spanSeconds: 3600, atSeconds: 700 }] });
    expect(bytesOf()).toEqual([600, 660]);
  });

  test('the newest whole snapshot of each measured volume is found', () => {
    write({ places: [pg, unknown] });
    const run: RunRecord = {
      ...{ volumeIdentity: 'l1', volumeName: 'pg', repositoryId: 'r', outcome: 'good', snapshotId: 's1' },
      ...{ startedAt: '2026-01-01T00:00:00Z', finishedAt: '2026-01-01T00:01:00Z', message: undefined },
    };
    current().recordRun(run);
    current().recordRun({ ...run, snapshotId: 's2', startedAt: '2026-01-02T00:00:00Z' });
    current().recordRun({ ...run, snapshotId: 's3', outcome: 'partial' });
    current().recordRun({ ...run, snapshotId: undefined, outcome: 'failed' });
    current().recordRun({ ...run, volumeIdentity: 'elsewhere' });
    expect([...usage.newestSnapshots()]).toEqual([['l1', { id: 's2', time: '2026-01-02T00:00:00Z' }]]);
  });

  test('the last drill of each outcome is kept', () => {
    const drill: DrillRecord = {
      ...{ volumeIdentity: 'l1', outcome: 'proven', snapshotId: 's1', snapshotTime: '2026-01-01T00:00:00Z' },
      ...{ drilledAt: '2026-01-02T00:00:00Z', recoverMs: 900 },
    };
    const failed: DrillRecord = {
      ...drill,
      outcome: 'failed',
      drilledAt: '2026-01-04T00:00:00Z',
      recoverMs: undefined,
    };
    for (const one of [failed, drill, { ...drill, drilledAt: '2026-01-03T00:00:00Z' }]) usage.noteDrill(one);
    expect(usage.listDrills()).toEqual([{ ...drill, drilledAt: '2026-01-03T00:00:00Z' }, failed]);
  });
}
