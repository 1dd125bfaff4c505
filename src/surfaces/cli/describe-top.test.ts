import { expect, test } from 'vitest';
import type { TopContainer, TopReport, TopVolume } from '../../app/app.ts';
import { describeTop } from './describe-top.ts';

const rates = { readBytes: 12_345_678, writtenBytes: 987_654, reads: 1234, writes: 567 };
const idle = { readBytes: 0, writtenBytes: 0, reads: 0, writes: 0 };

function volume(name: string, more: Partial<TopVolume> = {}): TopVolume {
  return {
    ...{ name, anonymous: false, rates, how: 'shared', latencyMs: 12.3, busy: 0.45, pressure: 0.1 },
    ...{ note: undefined, ...more },
  };
}

function container(name: string): TopContainer {
  return { name, rates, pressure: 0.1, note: undefined };
}

function report(volumes: readonly TopVolume[], containers: readonly TopContainer[]): TopReport {
  return { seconds: 2, volumes, containers, pressure: 0.02, notes: [] };
}

const busyHost = report(
  [
    volume('shop_database-of-a-long-name'),
    volume('b', { how: 'device', note: 'it lies on no disk of this machine' }),
    ...Array.from({ length: 200 }, (_, index) => volume(`idle-${index}`, { rates: idle })),
  ],
  Array.from({ length: 5 }, (_, index) => container(`shop-web-${index}`)),
);

test.each([
  [24, 80],
  [24, 60],
  [10, 40],
  [50, 200],
])('on a screen of %i lines and %i columns everything fits, and containers are seen', (rows, columns) => {
  const lines = describeTop(busyHost, { rows, columns }).split('\n');
  expect(lines.length).toBeLessThan(rows);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
  expect(lines.some((line) => line.startsWith('shop-web-0'))).toBe(true);
  expect(lines.some((line) => line.startsWith('shop_database'.slice(0, 11)))).toBe(true);
  expect(lines.join('\n')).toMatch(/and \d+ (idle )?volumes more/);
});

test('a screen of eighty columns shows rates, latency and pressure, and a wide one operations as well', () => {
  const [narrow, wide] = [80, 160].map((columns) => describeTop(busyHost, { rows: 24, columns }));
  expect(narrow).toMatch(/VOLUME +READ\/s +WRITE\/s +LATENCY +BUSY +WAITING/);
  expect(wide).toMatch(/VOLUME +READ\/s +WRITE\/s +READS +WRITES +LATENCY +BUSY +WAITING +NOTE/);
});

test('without a screen all rows and columns are shown', () => {
  const text = describeTop(busyHost);
  expect(text).toContain('idle-199');
  expect(text).toContain('it lies on no disk of this machine');
  expect(text).not.toContain('more');
});

test('room that containers do not need goes to volumes', () => {
  const text = describeTop(report(busyHost.volumes, [container('only')]), { rows: 30, columns: 80 });
  expect(text.split('\n').filter((line) => line.startsWith('idle-')).length).toBeGreaterThan(12);
});

test('an empty host is told what to do instead of headers', () => {
  const text = describeTop(report([], []));
  expect(text).toContain('There is no volume, and no container runs.');
  expect(text).not.toContain('VOLUME');
});

test('names with control characters reach no terminal, and wide names are cut by their width', () => {
  const text = describeTop(report([volume('e\u001b[31mvil'), volume('日本'.repeat(20))], []), {
    rows: 24,
    columns: 60,
  });
  expect(text).not.toContain('\u001b');
  expect(text).toContain('…');
});
