import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import { planUnits } from './restarters.ts';
import { type Unit, unitsIn } from './units.ts';

function service(name: string, start: string, restart = 'no', more = ''): Unit {
  return { name, text: `[Service]\nExecStart=${start}\nRestart=${restart}\n${more}` };
}

function timer(name: string, more = ''): Unit {
  return { name, text: `[Timer]\nOnCalendar=hourly\n${more}` };
}

test('a unit that starts a container again is told of, and no other unit', () => {
  const db = memoryContainers().add({ name: 'db' });
  const planned = planUnits(
    [db],
    [
      service('db.service', '/usr/bin/docker start -a db', 'always'),
      service('once.service', '/usr/bin/docker start -a db'),
      service('other.service', '/usr/bin/docker start -a other', 'always'),
      service('plain.service', '/usr/bin/db', 'always'),
      service('log.service', '/usr/bin/docker logs -f db', 'always'),
    ],
  );
  expect(planned).toMatchObject([
    {
      unit: 'db.service',
      finding: {
        id: 'HF-D071',
        subject: { name: 'db' },
        commands: [
          ['systemctl', 'disable', '--now', 'db.service'],
          ['docker', 'update', '--restart', 'unless-stopped', 'db'],
          ['docker', 'start', 'db'],
        ],
      },
    },
  ]);
});

test('a command that runs in a container starts none, whatever its words are', () => {
  const site = memoryContainers().add({ name: 'site', stack: 'app', service: 'site' });
  const found = (start: string): number =>
    planUnits([site], [service('job.service', start, 'no'), timer('job.timer')]).length;
  expect(found('/usr/bin/docker exec site wp cron event run --due-now')).toBe(0);
  expect(found('docker compose -p app exec -T site manage.py queue start')).toBe(0);
  expect(found("/bin/sh -c 'docker exec site backup run; docker start site'")).toBe(1);
  expect(found("/bin/sh -c 'exec docker start -a site'")).toBe(1);
});

test('a container that its unit makes is not started by hand when the unit is gone', () => {
  const db = memoryContainers().add({ name: 'db' });
  const planned = planUnits(
    [db],
    [service('db.service', '/usr/bin/podman run --name db postgres', 'always')],
  );
  expect(planned[0]?.finding.commands).toEqual([['systemctl', 'disable', '--now', 'db.service']]);
});

test('a timer is told of by what its service starts, also through a shell', () => {
  const db = memoryContainers().add({ name: 'db' });
  const planned = planUnits(
    [db],
    [
      service('fresh.service', "/bin/sh -c 'docker restart db; echo done'"),
      timer('fresh.timer'),
      timer('named.timer', 'Unit=fresh.service\n'),
      service('prune.service', '/usr/bin/docker system prune -f'),
      timer('prune.timer'),
      timer('lost.timer'),
    ],
  );
  expect(planned.map(({ unit, finding: { id } }) => `${id} ${unit}`)).toEqual([
    'HF-D072 fresh.timer',
    'HF-D072 named.timer',
  ]);
});

test('a unit is read as systemd does it: lines that go on, its own name, and settings that replace others', () => {
  const db = memoryContainers().add({ name: 'db' });
  const idsOf = (text: string): string[] =>
    planUnits([db], [{ name: 'db.service', text }]).map(({ finding: { id } }) => id);
  expect(idsOf('Restart=always\nExecStart=/usr/bin/docker run \\\n  --rm --name=%N \\\n postgres\n')).toEqual(
    ['HF-D071'],
  );
  expect(idsOf('Restart=always\nExecStart=docker start -a db\nRestart=no\n')).toEqual([]);
  expect(idsOf('Restart=always\nExecStart=docker start -a db\nExecStart=\nExecStart=/bin/db\n')).toEqual([]);
});

test('a stack that is brought up is all of its containers, or the services that are named', () => {
  const containers = ['web', 'db'].map((name) =>
    memoryContainers().add({ name: `shop-${name}-1`, stack: 'shop', service: name }),
  );
  const other = memoryContainers().add({ name: 'blog-db-1', stack: 'blog', service: 'db' });
  const found = (start: string, more = ''): string[] =>
    planUnits([...containers, other], [service('x.service', start, 'always', more)]).map(
      ({ finding }) => finding.subject.name,
    );
  expect(found('/usr/bin/docker compose up', 'WorkingDirectory=/srv/Shop\n')).toEqual([
    'shop-web-1',
    'shop-db-1',
  ]);
  expect(found('/usr/bin/docker compose -f /srv/shop/compose.yaml up db')).toEqual(['shop-db-1']);
  expect(found('/usr/bin/docker-compose -p shop up web')).toEqual(['shop-web-1']);
  expect(found('/usr/bin/docker compose -p elsewhere up db')).toEqual([]);
});

test('of two units with one name the first folder counts, with its further settings', () => {
  const folder = mkdtempSync(join(tmpdir(), 'units-'));
  for (const name of ['first/db.service.d', 'second']) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, 'first/db.service'), 'one');
  writeFileSync(join(folder, 'first/db.service.d/more.conf'), 'Restart=always');
  writeFileSync(join(folder, 'second/db.service'), 'two');
  writeFileSync(join(folder, 'second/db.socket'), 'none');
  expect(unitsIn(['first', 'absent', 'second'].map((name) => join(folder, name)))).toEqual([
    { name: 'db.service', text: 'one\nRestart=always' },
  ]);
  rmSync(folder, { recursive: true });
});
