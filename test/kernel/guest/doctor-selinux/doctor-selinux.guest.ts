import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { onEngine } from '../../../support/on-engine.ts';
import { doctorOn } from '../doctor-on.ts';

const selinux = '/sys/fs/selinux';

/** Before the engine starts, which looks for it. */
beforeAll(loadPolicy);
afterAll(() => {
  writeFileSync(join(selinux, 'enforce'), '0');
  execFileSync('umount', [selinux]);
});
const on = onEngine({ host: 'docker', engine: { usesMachineNetwork: true, args: ['--selinux-enabled'] } });
const { findings, start, inside, remove, carryOut } = doctorOn(on);

function loadPolicy(): void {
  const folder = mkdtempSync(join(tmpdir(), 'policy-'));
  const [source, built] = [join(folder, 'policy.cil'), join(folder, 'policy')];
  const categories = Array.from({ length: 1024 }, (_, number) => `c${number}`);
  writeFileSync(
    source,
    [
      readFileSync(join(import.meta.dirname, 'policy.cil'), 'utf8'),
      ...categories.map((name) => `(category ${name})`),
      `(categoryorder (${categories.join(' ')}))`,
      '(sensitivitycategory s0 (range c0 c1023))',
    ].join('\n'),
  );
  execFileSync('secilc', ['-M', '1', '-c', '33', '-o', built, '-f', '/dev/null', source], { stdio: 'pipe' });
  execFileSync('mount', ['-t', 'selinuxfs', 'selinuxfs', selinux]);
  writeFileSync(join(selinux, 'load'), readFileSync(built));
  writeFileSync(join(selinux, 'enforce'), '1');
  // Where the engine finds the labels that it gives.
  const contexts = '/etc/selinux/guest/contexts';
  mkdirSync(contexts, { recursive: true });
  writeFileSync('/etc/selinux/config', 'SELINUX=enforcing\nSELINUXTYPE=guest\n');
  const labels = [
    'process = "system_u:system_r:container_t:s0"',
    'file = "system_u:object_r:container_file_t:s0"',
  ];
  writeFileSync(join(contexts, 'lxc_contexts'), `${labels.join('\n')}\n`);
  rmSync(folder, { recursive: true });
}

test('what SELinux refuses is told of at its container and mount, and is read after the command', async () => {
  const [site, beside] = [join(on.engine.folder, 'site'), join(on.engine.folder, 'beside')];
  for (const folder of [site, beside]) mkdirSync(folder);
  writeFileSync(join(site, 'page'), 'content');
  execFileSync('chcon', ['-R', '-t', 'user_home_t', site]);
  execFileSync('chcon', ['-R', '-t', 'container_file_t', beside]);
  await start('web', '-v', `${site}:/site`, '-v', `${beside}:/beside`);
  await start('other', '-v', `${site}:/site`);
  await expect(inside('web', 'cat /site/page')).rejects.toThrow('Permission denied');
  await inside('web', 'touch /beside/file');
  const [found, ...others] = await findings('web');
  expect(others).toEqual([]);
  expect(found).toMatchObject({
    id: 'HF-D040',
    subject: { kind: 'container', name: 'web' },
    commands: [['chcon', '-R', '-t', 'container_file_t', site]],
  });
  expect(found?.evidence.join('\n')).toMatch(
    /SELinux: "cat" was refused "\w+" of "\S*page", by ".*container_t/,
  );
  // The same folder, and no refusal of its own.
  expect(await findings('other')).toEqual([]);
  for (const command of found?.commands ?? []) await carryOut(command);
  expect(await inside('web', 'cat /site/page')).toBe('content');
  expect(await findings('web')).toEqual([]);
  for (const name of ['web', 'other']) await remove(name);
});
