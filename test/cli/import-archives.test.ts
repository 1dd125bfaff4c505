import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hostileTar } from '../faults/hostile-tar.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { Cli } from './cli.ts';
import { command } from '../support/holdfast-command.ts';

let cli: Cli;
let backups: string;
let source: string;

beforeEach(async () => {
  cli = new Cli();
  await cli.init();
  backups = cli.mkdir('backups');
  source = cli.mkdir('source');
  fill(source);
});
afterEach(() => cli[Symbol.dispose]());

function fill(root: string): void {
  mkdirSync(join(root, 'sub/deep'), { recursive: true });
  writeFileSync(join(root, 'data'), Buffer.alloc(600_000, 'first'));
  writeFileSync(join(root, 'sub/deep/naïve name\n'), 'x');
  symlinkSync('../data', join(root, 'sub/link'));
  execFileSync('ln', [join(root, 'data'), join(root, 'sub/hard')]);
  execFileSync('mkfifo', [join(root, 'sub/pipe')]);
  execFileSync('chmod', ['2750', join(root, 'sub')]);
  if (process.getuid?.() === 0) execFileSync('chown', ['70:71', join(root, 'sub/deep')]);
  utimesSync(join(root, 'data'), 1e9, 1e9);
}

/** As in many scripts: `tar czf NAME-DATE.tar.gz -C FOLDER .` */
function archive(name: string, ...flags: string[]): string {
  const file = join(backups, name);
  execFileSync('tar', [...flags, '--auto-compress', '-cf', file, '-C', source, '.']);
  return file;
}

interface ReportJson {
  readonly dryRun: boolean;
  readonly outcomes: readonly {
    readonly archive: string;
    readonly volume: string | null;
    readonly time: string | null;
    readonly outcome: string;
    readonly snapshotId: string | null;
    readonly summary: { readonly files: number; readonly bytesAdded: number } | null;
    readonly error: { readonly code: string; readonly message: string } | null;
  }[];
}

interface SnapshotJson {
  readonly id: string;
  readonly name: string;
  readonly time: string;
  readonly tags: readonly string[];
  readonly volume: { readonly identity: string } | null;
}

async function importAll(
  ...args: string[]
): Promise<ReportJson & { readonly exit: number; readonly stderr: string }> {
  const { exit, stdout, stderr } = await cli.attempt(['import-archives', ...args, '--format', 'json']);
  return { ...(JSON.parse(stdout || '{"outcomes":[]}') as ReportJson), exit, stderr };
}

/** Without what tar itself carries only in whole seconds. */
function withoutTimes(facts: readonly string[]): string[] {
  return facts.map((line) => line.replace(/\d{10,}(?:\.\d+)?/g, 'T'));
}

describe('archives of a script', () => {
  test('become snapshots with their dates, oldest first, each adding only changes; a restore by date works', async () => {
    const root = await cli.volume('pg');
    archive('pg-20250115-143000.tar.gz');
    const first = treeFacts(source);
    writeFileSync(join(source, 'new'), 'second');
    archive('pg-20250116-143000.tar.gz');
    writeFileSync(join(root, 'live'), 'now');
    await cli.run('backup', 'pg');
    const report = await importAll(backups);
    expect(report, report.stderr).toMatchObject({ exit: 0, dryRun: false });
    expect(report.outcomes.map(({ volume, time, outcome }) => [volume, time, outcome])).toEqual([
      ['pg', '2025-01-15T14:30:00.000Z', 'imported'],
      ['pg', '2025-01-16T14:30:00.000Z', 'imported'],
    ]);
    expect(report.outcomes[0]?.summary).toMatchObject({ files: 3 });
    expect(report.outcomes[1]?.summary?.bytesAdded).toBeLessThan(20_000);
    const snapshots = await cli.json<SnapshotJson[]>('snapshots', 'pg');
    expect(snapshots.map(({ time }) => time.slice(0, 10)).slice(0, 2)).toEqual(['2025-01-15', '2025-01-16']);
    expect(new Set(snapshots.map(({ volume }) => volume?.identity)).size).toBe(1);
    expect(snapshots[0]?.tags).toEqual(['imported', expect.stringMatching(/^archive-[0-9a-f]{16}$/)]);

    await cli.run('restore', 'pg@2025-01-15', '--to', './back');
    expect(withoutTimes(treeFacts(join(cli.folder, 'back')))).toEqual(withoutTimes(first));
    expect(readFileSync(join(root, 'live'), 'utf8')).toBe('now');
    expect((await cli.attempt(['check', '--read-data'])).exit).toBe(0);
    expect(await cli.run('log', '--kind', 'import')).toMatch(
      /import +good +pg .*From "pg-20250115-143000.tar.gz"/,
    );
  });

  test('of a volume that is gone bring it back', async () => {
    archive('lost-20250115-143000.tar.zst');
    expect((await importAll(backups)).exit).toBe(0);
    await cli.run('restore', 'lost', '--yes');
    expect(withoutTimes(treeFacts(cli.root('lost')))).toEqual(withoutTimes(treeFacts(source)));
  });

  test('are imported once, under any name', async () => {
    const file = archive('pg-20250115-143000.tar.gz');
    await importAll(backups);
    execFileSync('mv', [file, join(backups, 'pg_2025-01-15.tgz')]);
    const again = await importAll(backups);
    expect(again.outcomes.map(({ outcome }) => outcome)).toEqual(['present']);
    expect(await cli.ids('pg')).toHaveLength(1);
  });

  test('are shown with --dry-run, and nothing is stored', async () => {
    archive('pg-20250115-143000.tar.gz');
    const report = await importAll(backups, '--dry-run');
    expect(report.outcomes).toMatchObject([
      { volume: 'pg', outcome: 'imported', snapshotId: null, summary: { files: 3 } },
    ]);
    expect(await cli.ids('pg').catch(() => [])).toEqual([]);
    expect(readdirSync(join(cli.repository, 'data'), { recursive: true }).length).toBeLessThan(260);
  });

  test('have the time of the zone that is named', async () => {
    archive('pg-20250115-143000.tar.gz');
    const report = await importAll(backups, '--time-zone', 'America/New_York');
    expect(report.outcomes[0]?.time).toBe('2025-01-15T19:30:00.000Z');
    expect((await importAll(backups, '--time-zone', 'Mars/Olympus')).exit).toBe(2);
  });

  test('of any compression are read', async () => {
    for (const [index, ending] of ['tar', 'tar.gz', 'tgz', 'tar.zst', 'tar.xz', 'tar.bz2'].entries())
      archive(`pg-2025010${index + 1}-000000.${ending}`, `--transform=s,data,data${index},`);
    const report = await importAll(backups);
    expect(report, report.stderr).toMatchObject({ exit: 0 });
    expect(report.outcomes.map(({ outcome }) => outcome)).toEqual(
      Array.from({ length: 6 }, () => 'imported'),
    );
  });

  test('are named by a pattern, or by the user', async () => {
    archive('host_pg_2025-01-15.tar.gz');
    expect((await importAll(backups, '--name-pattern', '*_{volume}_%F')).outcomes[0]).toMatchObject({
      volume: 'pg',
      time: '2025-01-15T00:00:00.000Z',
    });
    archive('backup-20250116.tar.gz', '--owner=5');
    expect(await importAll(join(backups, 'backup-20250116.tar.gz'))).toMatchObject({ exit: 2 });
    expect(await importAll(join(backups, 'backup-20250116.tar.gz'), '--volume', 'pg')).toMatchObject({
      exit: 0,
    });
    expect(await cli.ids('pg')).toHaveLength(2);
  });

  test('in an order that no walk has are brought into one', async () => {
    const file = join(backups, 'pg-20250115-143000.tar');
    const names = ['./sub/deep', './data', './sub', './sub/link', '.'];
    execFileSync('tar', ['-cf', file, '-C', source, '--no-recursion', ...names]);
    writeFileSync(join(source, 'data'), 'later');
    execFileSync('tar', ['-rf', file, '-C', source, '--no-recursion', './data']);
    const report = await importAll(file);
    expect(report, report.stderr).toMatchObject({ exit: 0 });
    await cli.run('restore', 'pg', '--to', './back');
    expect(readFileSync(join(cli.folder, 'back/data'), 'utf8')).toBe('later');
    expect(readdirSync(join(cli.folder, 'back/sub')).sort()).toEqual(['deep', 'link']);
    expect(readdirSync(cli.stateDir)).not.toContain('import');
  });

  test('without their folders have plain ones', async () => {
    const file = join(backups, 'pg-20250115-143000.tar.gz');
    execFileSync('tar', ['-czf', file, '-C', source, 'sub/link', 'sub/deep']);
    expect((await importAll(file)).exit).toBe(0);
    expect(await cli.run('ls', 'pg@latest', 'sub')).toContain('link');
  });

  test('with padding behind their end are whole', async () => {
    const file = archive('pg-20250115-143000.tar.gz');
    appendFileSync(file, Buffer.alloc(10_240));
    const report = await importAll(file);
    expect(report, report.stderr).toMatchObject({ exit: 0 });
  });
});

describe("archives of offen's", () => {
  function offen(name: string, ...folders: string[]): string {
    const staging = cli.mkdir('staging');
    rmSync(staging, { recursive: true });
    for (const folder of folders) {
      mkdirSync(join(staging, 'backup', folder), { recursive: true });
      execFileSync('cp', ['-a', `${source}/.`, join(staging, 'backup', folder)]);
      writeFileSync(join(staging, 'backup', folder, 'own'), folder);
    }
    const file = join(backups, name);
    const flags = ['--absolute-names', '--transform=s,^backup,/backup,'];
    execFileSync('tar', ['-czf', file, ...flags, '-C', staging, 'backup']);
    return file;
  }

  test('become a snapshot of each volume', async () => {
    offen('backup-2026-01-31T12-00-00.tar.gz', 'pg', 'uploads');
    const report = await importAll(backups, '--rename', 'uploads=web_uploads');
    expect(report, report.stderr).toMatchObject({ exit: 0 });
    expect(report.outcomes.map(({ volume, time }) => [volume, time])).toEqual([
      ['pg', '2026-01-31T12:00:00.000Z'],
      ['web_uploads', '2026-01-31T12:00:00.000Z'],
    ]);
    await cli.run('restore', 'web_uploads', '--to', './back');
    expect(readFileSync(join(cli.folder, 'back/own'), 'utf8')).toBe('uploads');
    expect(readdirSync(join(cli.folder, 'back')).sort()).toEqual(['data', 'own', 'sub']);
    expect((await importAll(backups, '--rename', 'uploads=web_uploads')).outcomes).toMatchObject([
      { outcome: 'present' },
      { outcome: 'present' },
    ]);
  });

  test('go on where an import was stopped between two volumes', async () => {
    offen('backup-2026-01-31T12-00-00.tar.gz', 'pg', 'uploads');
    await importAll(backups);
    const [id = ''] = await cli.ids('uploads');
    await cli.run('forget', id, '--allow-empty', '--yes');
    const report = await importAll(backups);
    expect(report.outcomes.map(({ volume, outcome }) => [volume, outcome])).toEqual([
      ['pg', 'present'],
      ['uploads', 'imported'],
    ]);
  });

  test('tell of the volumes that were saved before one could not be', async () => {
    offen('backup-2026-01-31T12-00-00.tar.gz', 'pg', 'uploads');
    const report = await importAll(backups, '--rename', 'uploads=no/volume');
    expect(report.exit).not.toBe(0);
    expect(report.outcomes.map(({ volume, outcome }) => [volume, outcome])).toEqual([
      ['pg', 'imported'],
      [null, 'refused'],
    ]);
    expect(await cli.ids('pg')).toHaveLength(1);
  });

  test('of one volume are those that the user names', async () => {
    offen('backup-2026-01-31T12-00-00.tar.gz', 'my-app-backup');
    expect((await importAll(backups, '--volume', 'data')).outcomes[0]).toMatchObject({ volume: 'data' });
    expect(await cli.run('ls', 'data@latest')).toContain('own');
  });
});

describe('what is refused, without harm and with a reason:', () => {
  const hostile = (name: string, members: Parameters<typeof hostileTar>[0]): string => {
    const file = join(backups, name);
    writeFileSync(file, hostileTar(members));
    return file;
  };

  test.each([
    ['climbs', [{ name: '../evil', type: '0', content: 'x' }], 'its name leads out of it'],
    [
      'links',
      [
        { name: './', type: '5' },
        { name: './a', type: '2', link: '/etc' },
        { name: './a/evil', type: '0', content: 'x' },
      ],
      '',
    ],
    [
      'hard',
      [
        { name: './', type: '5' },
        { name: './a', type: '1', link: '../../etc/passwd' },
      ],
      'leads out',
    ],
  ] as const)('an archive that %s', async (_, members, words) => {
    hostile('pg-20250115-143000.tar', [...members]);
    const report = await importAll(backups);
    expect([1, 6]).toContain(report.exit);
    expect(report.outcomes).toMatchObject([{ outcome: 'refused', snapshotId: null }]);
    expect(report.outcomes[0]?.error?.message).toContain(words);
    expect(readdirSync(cli.folder)).not.toContain('evil');
    expect((await cli.attempt(['snapshots', '-q'])).stdout.trim()).toBe('');
  });

  test('absolute names stay inside', async () => {
    hostile('pg-20250115-143000.tar', [{ name: '/etc/passwd', type: '0', content: 'x' }]);
    expect((await importAll(backups)).exit).toBe(0);
    expect(await cli.run('ls', 'pg@latest', '--recursive')).toContain('etc/passwd');
  });

  test('what was cut off, is no archive, is empty, encrypted or no file, while the others are imported', async () => {
    const cut = archive('cut-20250101-000000.tar.gz');
    truncateSync(cut, 900);
    const half = archive('half-20250102-000000.tar');
    truncateSync(half, 5000);
    writeFileSync(join(backups, 'text-20250103-000000.tar.gz'), 'this is no archive');
    writeFileSync(join(backups, 'empty-20250104-000000.tar.gz'), '');
    writeFileSync(join(backups, 'pg-20250105-000000.tar.gz.gpg'), 'secret');
    writeFileSync(join(backups, 'notes.tar.gz'), '');
    execFileSync('mkfifo', [join(backups, 'pipe-20250106-000000.tar')]);
    symlinkSync('/nowhere', join(backups, 'gone-20250107-000000.tar'));
    writeFileSync(join(backups, 'never-20250231-000000.tar'), '');
    archive('good-20250108-000000.tar.gz');
    const report = await importAll(backups);
    expect(report.exit, report.stderr).toBe(3);
    const refused = report.outcomes.filter(({ outcome }) => outcome === 'refused');
    expect(refused).toHaveLength(9);
    for (const { archive: file, error } of refused) expect(error?.message).toContain(file.split('/').at(-1));
    expect(report.outcomes.filter(({ outcome }) => outcome === 'imported')).toMatchObject([
      { volume: 'good' },
    ]);
    expect(report.stderr).toContain('gpg --decrypt --output pg-20250105-000000.tar.gz');
    expect(report.stderr).not.toMatch(/^\s+at /m);
  });

  test('a name that no volume can have', async () => {
    archive('-x-20250115-143000.tar.gz');
    const report = await importAll(backups);
    expect(report.exit).toBe(2);
    expect(report.stderr).toContain('--volume NAME');
  });
});

async function killAfter(ms: number, args: readonly string[]): Promise<void> {
  const env = { ...process.env, HOLDFAST_STATE_DIR: cli.stateDir, HOLDFAST_HOST: 'embedded', TZ: 'UTC' };
  const child = spawn(command, args, { env, stdio: 'ignore' });
  const gone = once(child, 'close');
  await Promise.race([pause(ms), gone]);
  child.kill('SIGKILL');
  await gone;
}

test('an import killed again and again continues, and imports nothing twice', async () => {
  for (let i = 0; i < 6; i++) {
    writeFileSync(join(source, `more-${i}`), Buffer.alloc(3_000_000, String(i)));
    archive(`pg-2025010${i + 1}-000000.tar`);
  }
  for (let round = 0; round < 8; round++) {
    await killAfter(300 + round * 120, ['import-archives', backups]);
  }
  expect((await importAll(backups)).exit).toBe(0);
  expect((await cli.json<SnapshotJson[]>('snapshots', 'pg')).map(({ time }) => time.slice(8, 10))).toEqual([
    '01',
    '02',
    '03',
    '04',
    '05',
    '06',
  ]);
  expect((await cli.attempt(['check', '--read-data'])).exit).toBe(0);
});
