import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import { diagnoseRestarters } from './restarters.ts';

test('a unit that starts a container again is told of, and no other unit', () => {
  const folder = mkdtempSync(join(tmpdir(), 'units-'));
  const unit = (name: string, start: string, restart: string): void =>
    writeFileSync(join(folder, name), `[Service]\nExecStart=${start}\nRestart=${restart}\n`);
  unit('db.service', '/usr/bin/docker start -a db', 'always');
  unit('once.service', '/usr/bin/docker start -a db', 'no');
  unit('other.service', '/usr/bin/docker start -a other', 'always');
  unit('plain.service', '/usr/bin/db', 'always');
  const db = memoryContainers().add({ name: 'db' });
  expect(diagnoseRestarters([db], [folder, join(folder, 'absent')]).findings).toMatchObject([
    { id: 'HF-D071', subject: { name: 'db' }, commands: [['systemctl', 'disable', '--now', 'db.service']] },
  ]);
  rmSync(folder, { recursive: true });
});
