import { expect, test } from 'vitest';
import type { DiskCounted } from './parse.ts';
import { planTop, type SeenContainer, type SeenVolume, type TopSample } from './plan-top.ts';

const disk: DiskCounted = { readBytes: 0, writtenBytes: 0, reads: 0, writes: 0, waitedMs: 0, busyMs: 0 };
const written = (bytes: number, writes: number) => ({ readBytes: 0, writtenBytes: bytes, reads: 0, writes });

const web: SeenContainer = {
  ...{ id: 'w', name: 'web', processes: undefined, waitedMicroseconds: 0, note: undefined },
  devices: new Map([['8:0', written(1000, 10)]]),
};
const data: SeenVolume = {
  ...{ name: 'data', anonymous: false, containers: ['w'], device: '8:0', isOwn: false },
  ...{ network: undefined, note: undefined },
};

function sample(atMs: number, parts: Partial<TopSample>): TopSample {
  return { atMs, containers: [], volumes: [], disks: new Map(), waitedMicroseconds: 0, notes: [], ...parts };
}

test('a device of its own is counted exactly, with its latency and how busy it was', () => {
  const own = { ...data, isOwn: true };
  const before = sample(0, { volumes: [own], disks: new Map([['8:0', disk]]) });
  const after = sample(2000, {
    volumes: [own],
    disks: new Map([['8:0', { ...disk, ...written(8000, 4), waitedMs: 10, busyMs: 500 }]]),
  });
  expect(planTop(before, after).volumes).toEqual([
    expect.objectContaining({
      ...{ how: 'device', latencyMs: 2.5, busy: 0.25 },
      rates: { readBytes: 0, writtenBytes: 4000, reads: 0, writes: 2 },
    }),
  ]);
});

test('a shared disk is divided among the volumes of each container there', () => {
  const [other, far] = [
    { ...data, name: 'other' },
    { ...data, name: 'far', device: '8:16' },
  ];
  const idle = { ...web, id: 'i', name: 'idle' };
  const volumes = [{ ...data, containers: ['w', 'i'] }, other, far];
  const busy = {
    ...web,
    devices: new Map([
      ['8:0', written(3000, 20)],
      ['8:16', written(500, 5)],
    ]),
  };
  const report = planTop(
    sample(0, { containers: [web, idle], volumes }),
    sample(1000, { containers: [busy, idle], volumes }),
  );
  const bytes = Object.fromEntries(
    report.volumes.map(({ name, rates, how }) => [name, [rates?.writtenBytes, how]]),
  );
  expect(bytes).toEqual({ data: [1000, 'shared'], other: [1000, 'shared'], far: [500, 'shared'] });
  expect(report.containers.map(({ name, rates }) => [name, rates?.writtenBytes])).toEqual([
    ['web', 2500],
    ['idle', 0],
  ]);
});

test('a network mount is counted by itself', () => {
  const at = (waitedMs: number, io: ReturnType<typeof written>): SeenVolume => ({
    ...data,
    ...{ device: undefined, network: { ...disk, ...io, waitedMs, busyMs: undefined } },
  });
  const report = planTop(
    sample(0, { volumes: [at(0, written(0, 0))] }),
    sample(1000, { volumes: [at(40, written(9000, 4))] }),
  );
  expect(report.volumes).toEqual([
    expect.objectContaining({ how: 'network', latencyMs: 10, busy: undefined }),
  ]);
  expect(report.volumes[0]?.rates?.writtenBytes).toBe(9000);
});

test('where groups and processes count apart, the larger one is told, and a process that ends takes nothing back', () => {
  const of = (bytes: number, processBytes: number): SeenContainer => ({
    ...web,
    devices: new Map([['8:0', written(bytes, 1)]]),
    processes: { readBytes: 0, writtenBytes: processBytes },
  });
  const rate = (before: SeenContainer, after: SeenContainer): number | undefined =>
    planTop(sample(0, { containers: [before] }), sample(1000, { containers: [after] })).containers[0]?.rates
      ?.writtenBytes;
  expect(rate(of(0, 100), of(10, 180))).toBe(80);
  expect(rate(of(0, 9000), of(10, 30))).toBe(10);
});

test('what has come or gone between two looks is left out, and counters that go back count as none', () => {
  const back = { ...web, devices: new Map([['8:0', written(10, 1)]]), waitedMicroseconds: 250_000 };
  const report = planTop(
    sample(0, { containers: [web, { ...web, id: 'gone', name: 'gone' }], volumes: [data] }),
    sample(1000, { containers: [back, { ...web, id: 'new', name: 'new' }], volumes: [] }),
  );
  expect(report.containers.map(({ name, rates, pressure }) => [name, rates?.writtenBytes, pressure])).toEqual(
    [['web', 0, 0.25]],
  );
  expect(report.volumes).toEqual([]);
});

test('what cannot be told is undefined: no group, no pressure, no disk', () => {
  const blind = { ...web, devices: undefined, waitedMicroseconds: undefined };
  const of = (atMs: number): TopSample =>
    sample(atMs, { containers: [blind], volumes: [data], waitedMicroseconds: undefined });
  const report = planTop(of(0), of(0));
  expect(report.pressure).toBeUndefined();
  expect(report.containers).toEqual([
    { name: 'web', note: undefined, rates: undefined, pressure: undefined },
  ]);
  expect(report.volumes).toEqual([expect.objectContaining({ rates: undefined, how: undefined })]);
});
