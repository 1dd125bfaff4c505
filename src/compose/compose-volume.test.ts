import { expect, test } from 'vitest';
import { parseComposeMount } from './compose-mount.ts';
import { checkComposeService, parseComposeVolume } from './compose-volume.ts';

const empty = { key: 'pg', external: false, driver: undefined, options: {}, labels: {} };

test.each([
  [null, { ...empty, name: 'shop_pg' }],
  [{}, { ...empty, name: 'shop_pg' }],
  [{ name: 'mine' }, { ...empty, name: 'mine' }],
  [{ external: true }, { ...empty, name: 'pg', external: true }],
  [
    { external: true, name: 'theirs' },
    { ...empty, name: 'theirs', external: true },
  ],
  [{ external: { name: 'theirs' } }, { ...empty, name: 'theirs', external: true }],
  [
    { driver: 'local', driver_opts: { type: 'nfs', size: 5 }, labels: ['a=b'], 'x-mine': 1 },
    { ...empty, name: 'shop_pg', driver: 'local', options: { type: 'nfs', size: '5' }, labels: { a: 'b' } },
  ],
])('parseComposeVolume() reads %j', (value, volume) => {
  expect(parseComposeVolume('pg', value, 'shop')).toEqual(volume);
});

test.each([
  [
    { external: true, driver: 'local' },
    'volumes.pg: conflicting parameters "external" and "driver" specified',
  ],
  [
    { external: true, driver_opts: {} },
    'volumes.pg: conflicting parameters "external" and "driver_opts" specified',
  ],
  [{ external: true, labels: [] }, 'volumes.pg: conflicting parameters "external" and "labels" specified'],
  [{ bogus: 1 }, 'Additional property bogus is not allowed'],
  ['text', 'volumes.pg must be a mapping'],
])('parseComposeVolume() refuses %j', (value, message) => {
  expect(() => parseComposeVolume('pg', value, 'shop')).toThrow(
    expect.objectContaining({ code: 'usage', message }),
  );
});

test('checkComposeService() refuses a volume that the file does not declare', () => {
  const mounts = [
    parseComposeMount('pg:/data'),
    parseComposeMount('/srv:/srv'),
    parseComposeMount('/anonymous'),
  ];
  expect(() => checkComposeService('db', mounts, new Set(['pg']))).not.toThrow();
  expect(() => checkComposeService('db', mounts, new Set(['www']))).toThrow(
    expect.objectContaining({
      code: 'usage',
      message: 'service "db" refers to undefined volume pg: invalid compose project',
    }),
  );
});

test('checkComposeService() refuses two mounts at one path', () => {
  const mounts = [parseComposeMount('pg:/data'), parseComposeMount('/srv:/data')];
  expect(() => checkComposeService('db', mounts, new Set(['pg']))).toThrow(
    'services.db.volumes[1]: target /data already mounted as services.db.volumes[0]',
  );
});
