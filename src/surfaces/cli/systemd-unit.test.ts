import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemdUnit } from './systemd-unit.ts';

const packaged = join(import.meta.dirname, '../../../packaging/systemd/holdfast.service');

test('the packaged unit is the one that --print-unit prints for the usual places', () => {
  const unit = systemdUnit({
    program: '/usr/local/bin/holdfast',
    stateDir: '/var/lib/holdfast',
    configFile: undefined,
  });
  expect(unit).toBe(readFileSync(packaged, 'utf8'));
});

test('other places are on its command line, with what systemd would take for its own escaped', () => {
  const unit = systemdUnit({
    program: '/opt/holdfast',
    stateDir: '/srv/my state',
    configFile: '/etc/100%.yaml',
  });
  expect(unit).toContain(
    'ExecStart=/opt/holdfast --state-dir "/srv/my state" --config /etc/100%%.yaml daemon\n',
  );
  expect(unit).toContain('RequiresMountsFor="/srv/my state"');
  expect(unit).not.toContain('StateDirectory');
});
