import { expect, test } from 'vitest';
import { cronFaults } from './own-units.ts';
import { parseCron, parseStates, patternOf } from './units.ts';

const table = `# m h dom mon dow user command
MAILTO=admin
17 3 * * * root holdfast backup --all
PATH=/usr/local/bin:/usr/bin
@daily root /opt/holdfast/bin/holdfast check
*/5 1-3 1,15 jan mon-fri me echo holdfast-notes
not an entry
`;

test('entries of cron are read with the folders that cron looks into', () => {
  expect(parseCron(table, '/etc/cron.d/x', true)).toEqual([
    {
      ...{ file: '/etc/cron.d/x', line: 3, times: '17 3 * * *', user: 'root', stateDir: undefined },
      ...{ command: 'holdfast backup --all', path: '/usr/bin:/bin' },
    },
    {
      ...{ file: '/etc/cron.d/x', line: 5, times: '@daily', user: 'root', stateDir: undefined },
      ...{ command: '/opt/holdfast/bin/holdfast check', path: '/usr/local/bin:/usr/bin' },
    },
    {
      ...{
        file: '/etc/cron.d/x',
        line: 6,
        times: '*/5 1-3 1,15 jan mon-fri',
        user: 'me',
        stateDir: undefined,
      },
      ...{ command: 'echo holdfast-notes', path: '/usr/local/bin:/usr/bin' },
    },
  ]);
  expect(parseCron('0 3 * * * holdfast prune', 'tables/root', false)).toMatchObject([
    { command: 'holdfast prune', user: 'root' },
  ]);
});

test('an entry of cron whose program cron does not find is told of, and one that it finds is not', () => {
  const entries = parseCron(table, '/etc/cron.d/x', true).slice(0, 2);
  const found = (...files: string[]): string[] =>
    cronFaults(entries, { isExecutable: (file) => files.includes(file), runsCron: true }).map(
      ({ id, message }) => `${id} ${message}`,
    );
  expect(found('/usr/local/bin/holdfast', '/opt/holdfast/bin/holdfast')).toEqual([
    'HF-D099 Line 3 of "/etc/cron.d/x" runs "holdfast", which is in no folder that cron looks into',
  ]);
  expect(found('/usr/bin/holdfast')).toEqual([
    'HF-D099 Line 5 of "/etc/cron.d/x" runs "/opt/holdfast/bin/holdfast", which is not there',
  ]);
  expect(found('/usr/bin/holdfast', '/opt/holdfast/bin/holdfast')).toEqual([]);
});

test('an entry of cron that only names a service or a container has no program that is missing', () => {
  const found = (command: string): number =>
    cronFaults(parseCron(`@daily ${command}`, 'root', false), { isExecutable: () => false, runsCron: true })
      .length;
  expect(found('systemctl restart holdfast')).toBe(0);
  expect(found('date | logger -t holdfast')).toBe(0);
  expect(found('/usr/bin/docker exec holdfast date')).toBe(0);
  expect(found('systemctl stop holdfast; holdfast prune')).toBe(1);
  expect(found('docker stop db && holdfast backup db')).toBe(1);
});

test('of a template of units its instances are asked, since it has no state itself', () => {
  expect(['a.service', 'a@.service', 'a@b.timer'].map(patternOf)).toEqual([
    'a.service',
    'a@*.service',
    'a@b.timer',
  ]);
});

test('entries of cron without a cron are told of once, and no entry is no fault', () => {
  const entries = parseCron(table, '/etc/cron.d/x', true);
  const about = { isExecutable: () => true, runsCron: false };
  expect(cronFaults(entries, about)).toMatchObject([{ id: 'HF-D099', subject: { name: 'cron' } }]);
  expect(cronFaults([], about)).toEqual([]);
});

test('what systemd says of several units is read by their names', () => {
  const shown = `Id=a.service
ActiveState=failed
Result=exit-code
ExecMainStatus=3

Id=b.timer
ActiveState=active
Result=success
`;
  expect([...parseStates(shown)]).toEqual([
    ['a.service', { active: 'failed', result: 'exit-code', exitStatus: '3' }],
    ['b.timer', { active: 'active', result: 'success', exitStatus: '' }],
  ]);
  expect(parseStates('')).toEqual(new Map());
});
