import { describe, expect, test } from 'vitest';
import type { Container } from '../../hosts/containers.ts';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import type { Snapshot, VolumeDescription } from '../../model/snapshot.ts';
import type { Consumer } from '../../model/volume.ts';
import { type FindContext, safetyTag } from '../../snapshots/find-snapshot.ts';
import type { DiskEvidence } from '../../quiesce/presets/preset.ts';
import { someSnapshot } from '../../../test/fixtures/some-snapshot.ts';
import { chooseDrill } from './choose-drill.ts';
import { assignServers, type RestoredVolume, type ServerPlans } from './plan-servers.ts';

const day = (number: number): string => new Date(Date.UTC(2026, 0, number)).toISOString();

interface Request {
  readonly name: string;
  readonly day: number;
  readonly point?: string;
  readonly tags?: readonly string[];
  readonly consumers?: readonly Consumer[];
  readonly starts?: VolumeDescription['starts'];
}

/** Of a volume of the stack `shop`. */
function snapshotOf({ name, day: number, point, tags = [], consumers = [], starts }: Request): Snapshot {
  const id = `${name}${number}`.replaceAll(/[^0-9a-f]/g, '0');
  const one = someSnapshot({ id, time: day(number), identity: name, name, tags });
  const volume = one.volume && { ...one.volume, name, stack: 'shop', consumers, starts };
  return { ...one, volume, ...(point !== undefined && { restorePoint: point }) };
}

describe('chooseDrill()', () => {
  const snapshots = [
    snapshotOf({ name: 'pg', day: 1, point: 'first' }),
    snapshotOf({ name: 'redis', day: 1, point: 'first' }),
    snapshotOf({ name: 'logs', day: 2 }),
    snapshotOf({ name: 'pg', day: 3, point: 'second' }),
    snapshotOf({ name: 'redis', day: 3, point: 'second' }),
    snapshotOf({ name: 'pg', day: 4 }),
    snapshotOf({ name: 'redis', day: 5, tags: [safetyTag] }),
  ];
  const context: FindContext = { snapshots, identityOf: () => undefined, now: new Date(day(9)) };
  const choose = (target: string, snapshot?: string): string[] =>
    chooseDrill({ target, snapshot }, context).snapshots.map((one) => `${one.name}@${one.time.slice(8, 10)}`);

  test('takes the newest snapshot of a volume, or the requested one', () => {
    expect(choose('pg')).toEqual(['pg@04']);
    expect(choose('pg', '2026-01-03T12:00')).toEqual(['pg@03']);
    expect(choose('pg@2026-01-01T12:00')).toEqual(['pg@01']);
  });

  test('takes the newest moment that has all of a stack, or what a restore of the stack at a time would take', () => {
    const all = ['pg', 'redis', 'logs'].map((name) => snapshotOf({ name, day: 6, point: 'third' }));
    const later = { ...context, snapshots: [...snapshots, ...all, snapshotOf({ name: 'pg', day: 7 })] };
    const days = (text: string): string[] =>
      chooseDrill({ target: text, snapshot: undefined }, later).snapshots.map(
        (one) => `${one.name}@${one.time.slice(8, 10)}`,
      );
    expect(days('shop')).toEqual(['logs@06', 'pg@06', 'redis@06']);
    expect(choose('shop', '2026-01-05T12:00').toSorted()).toEqual(['logs@02', 'pg@04', 'redis@03']);
    expect(choose('shop@2026-01-01T12:00').toSorted()).toEqual(['pg@01', 'redis@01']);
  });

  test('refuses a stack without a complete moment, as a restore does', () => {
    expect(() => choose('shop')).toThrow('No moment has all of the stack "shop"');
  });

  test('says what is missing', () => {
    expect(() => choose('nobody')).toThrow('There is no snapshot of "nobody"');
    expect(() => choose('shop', '2025-12-31')).toThrow('from "2025-12-31" or before');
    const [one] = snapshots;
    const volume = one?.volume && { ...one.volume, kind: 'path' as const, stack: 'wiki' };
    const folders = { ...context, snapshots: one === undefined ? [] : [{ ...one, volume }] };
    expect(() => chooseDrill({ target: 'wiki', snapshot: undefined }, folders)).toThrow(
      'No snapshot holds a volume of the stack "wiki"',
    );
  });
});

describe('assignServers()', () => {
  const pgDisk: DiskEvidence = new Map([
    ['PG_VERSION', Buffer.from('17\n')],
    ['global', new Uint8Array()],
    ['base', new Uint8Array()],
  ]);
  const mount = { type: 'volume', readOnly: false } as const;

  function liveDatabase(more: Partial<Container> = {}): Container {
    return memoryContainers().add({
      name: 'shop-db-1',
      stack: 'shop',
      service: 'db',
      image: 'postgres:17',
      imageId: 'sha256:live',
      environment: { POSTGRES_USER: 'app' },
      command: ['postgres'],
      mounts: [{ ...mount, source: 'pg', destination: '/var/lib/postgresql/data' }],
      ...more,
    });
  }

  function restored(given: Request, disk: DiskEvidence = new Map()): RestoredVolume {
    const snapshot = snapshotOf(given);
    const drilled = {
      name: given.name,
      snapshotId: snapshot.id,
      snapshotTime: snapshot.time,
      files: 1,
      bytes: 1,
      trialVolume: `trial-${given.name}`,
    };
    return { snapshot, drilled, disk };
  }

  function assign(
    volumes: readonly RestoredVolume[],
    containers: readonly Container[],
    command?: readonly string[],
  ): ServerPlans {
    const choice = { kind: 'stack' as const, snapshots: volumes.map(({ snapshot }) => snapshot) };
    const request = { target: 'shop', snapshot: undefined, command, keep: false, readyWithinMs: 1 };
    return assignServers({ choice, restored: volumes, request }, containers);
  }

  const consumer: Consumer = {
    id: 'gone',
    name: 'shop-db-1',
    image: 'postgres:17',
    state: 'running',
    stack: 'shop',
    service: 'db',
    path: '/var/lib/postgresql/data',
    readOnly: false,
  };

  test('starts the existing container, by the content of its image', () => {
    const { servers } = assign(
      [restored({ name: 'pg', day: 1, consumers: [consumer] }, pgDisk)],
      [liveDatabase()],
    );
    expect(servers).toMatchObject([
      {
        volumes: { '/var/lib/postgresql/data': 'trial-pg' },
        plan: { image: 'sha256:live', alias: 'db', environment: { POSTGRES_USER: 'app' } },
      },
    ]);
    expect(servers[0]?.plan.found?.preset.name).toBe('postgresql');
  });

  test('starts the former image when the container was upgraded since', () => {
    const old = { ...consumer, image: 'postgres:15' };
    const { servers } = assign(
      [restored({ name: 'pg', day: 1, consumers: [old] }, pgDisk)],
      [liveDatabase()],
    );
    expect(servers[0]?.plan).toMatchObject({ image: 'postgres:15', environment: { POSTGRES_USER: 'app' } });
  });

  test('starts what is recorded when the container is gone, as it was started', () => {
    const starts = [
      {
        name: 'shop-db-1',
        command: ['postgres', '-c', 'x=y'],
        entrypoint: [],
        user: '7',
        environment: { A: 'b' },
      },
    ];
    const { servers } = assign([restored({ name: 'pg', day: 1, consumers: [consumer], starts }, pgDisk)], []);
    expect(servers[0]?.plan).toMatchObject({
      image: 'postgres:17',
      command: ['postgres', '-c', 'x=y'],
      user: '7',
      environment: { A: 'b' },
    });
  });

  test('prefers the database to other containers that mount its volume', () => {
    const exporter = liveDatabase({
      name: 'aaa-backup-tool',
      service: 'tool',
      image: 'busybox',
      mounts: [{ ...mount, source: 'pg', destination: '/data' }],
    });
    const { servers } = assign([restored({ name: 'pg', day: 1 }, pgDisk)], [exporter, liveDatabase()]);
    expect(servers.map(({ plan }) => plan.name)).toEqual(['shop-db-1']);
  });

  test('starts one container on all its volumes, after those that it depends on', () => {
    const both = liveDatabase({
      mounts: [
        { ...mount, source: 'pg', destination: '/var/lib/postgresql/data' },
        { ...mount, source: 'wal', destination: '/wal' },
      ],
      dependsOn: ['other'],
    });
    const other = liveDatabase({
      name: 'shop-other-1',
      service: 'other',
      mounts: [{ ...mount, source: 'pg2', destination: '/var/lib/postgresql/data' }],
    });
    const volumes = [
      restored({ name: 'pg', day: 1 }, pgDisk),
      restored({ name: 'wal', day: 1 }),
      restored({ name: 'pg2', day: 1 }, pgDisk),
    ];
    const { servers, unasked } = assign(volumes, [both, other]);
    expect(servers.map(({ plan, volumes: mounted }) => [plan.alias, Object.values(mounted)])).toEqual([
      ['other', ['trial-pg2']],
      ['db', ['trial-pg', 'trial-wal']],
    ]);
    expect(servers[1]?.plan.found?.preset.name).toBe('postgresql');
    expect(unasked).toEqual([]);
  });

  test('does not start a container that needs more than the data, unless the user says what to ask', () => {
    const web = liveDatabase({
      name: 'shop-web-1',
      image: 'web',
      mounts: [
        { ...mount, source: 'uploads', destination: '/uploads' },
        { type: 'bind', source: '/etc/web.yml', destination: '/web.yml', readOnly: true },
      ],
    });
    const volumes = [restored({ name: 'uploads', day: 1 })];
    expect(assign(volumes, [web])).toMatchObject({
      servers: [],
      unasked: [{ volume: 'uploads', reason: expect.stringContaining('"shop-web-1"') }],
    });
    expect(assign(volumes, [web], ['true']).servers).toMatchObject([{ plan: { lacks: ['/etc/web.yml'] } }]);
    const config = { saved: ['/etc/web.yml'], leftOut: [] };
    const whole = volumes.map((one) => ({ ...one, snapshot: { ...one.snapshot, config } }));
    expect(assign(whole, [web]).servers).toMatchObject([
      { plan: { lacks: [], binds: [{ source: '/etc/web.yml', destination: '/web.yml' }] } },
    ]);
    expect(() => assign(volumes, [], ['true'])).toThrow('no container in which the command could be run');
  });

  test('a directory that a container mounts does not count as lacking in its own drill', () => {
    const source = '/srv/pg';
    const one = restored({ name: source, day: 1, consumers: [consumer] }, pgDisk);
    const start = { name: consumer.name, command: [], entrypoint: [], user: '', environment: {} };
    const starts = [{ ...start, binds: [{ source, destination: consumer.path }] }];
    const volume = one.snapshot.volume && { ...one.snapshot.volume, kind: 'path' as const, starts };
    const ofPath = { ...one, snapshot: { ...one.snapshot, volume } };
    const live = liveDatabase({ mounts: [{ ...mount, type: 'bind', source, destination: consumer.path }] });
    const plan = { lacks: [], binds: [] };
    for (const containers of [[live], []])
      expect(assign([ofPath], containers).servers).toMatchObject([
        { plan, volumes: { [consumer.path]: `trial-${source}` } },
      ]);
  });

  test('starts nothing on a single file, which is no volume that a container could mount', () => {
    const one = restored({ name: '/srv/app.conf', day: 1, consumers: [consumer] });
    const volume = one.snapshot.volume && { ...one.snapshot.volume, kind: 'path' as const, isFile: true };
    const file = { ...one, snapshot: { ...one.snapshot, volume } };
    expect(assign([file], [])).toMatchObject({ servers: [], unasked: [{ volume: '/srv/app.conf' }] });
  });
});
