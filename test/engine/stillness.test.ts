import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { BackupOutcome } from '../../src/app/app.ts';
import type { Snapshot } from '../../src/model/snapshot.ts';
import { makeStack } from '../stacks/stack.ts';
import { type LoopFilesystemType, mountLoopFilesystem } from '../support/loop-filesystem.ts';
import { onEngine } from '../support/on-engine.ts';

const on = onEngine({ host: 'docker' });

interface BackupJson {
  readonly outcomes: readonly (Omit<BackupOutcome, 'snapshot'> & {
    readonly snapshotId: string;
    readonly restorePoint: string | null;
  })[];
}

async function run(args: readonly string[]): Promise<string> {
  return (await on.run(args)).stdout;
}

async function backUp(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<BackupJson['outcomes']> {
  const { exit, stdout, stderr } = await on.attempt(['backup', ...args, '--format', 'json'], { env });
  // Live data changes while it is read, which makes the backup partly done.
  expect(args.includes('live') ? [0, 3] : [0], stderr).toContain(exit);
  return (JSON.parse(stdout) as BackupJson).outcomes;
}

async function state(name: string): Promise<string> {
  return await on.engine.docker(['inspect', '--format', '{{.State.Status}}', name]);
}

/** Counts as fast as it can, first in one folder and then in the other. */
const counting =
  'trap "exit 0" TERM; i=0; while true; do i=$((i+1)); echo $i >> /a/log; echo $i >> /b/log; done';

async function startWriter(
  name: string,
  mounts: readonly string[],
  labels: readonly string[] = [],
): Promise<void> {
  const options = [
    ...mounts.flatMap((mount) => ['-v', mount]),
    ...labels.flatMap((label) => ['--label', label]),
  ];
  const [source = ''] = mounts[0]?.split(':') ?? [];
  const log = join(source.startsWith('/') ? source : on.engine.volumePath(source), 'log');
  const written = (): number => statSync(log, { throwIfNoEntry: false })?.size ?? 0;
  const before = written();
  await on.engine.docker(['run', '-d', '--name', name, ...options, 'busybox', 'sh', '-c', counting]);
  await expect.poll(written).toBeGreaterThan(before);
}

async function lastCount(snapshotId: string): Promise<number> {
  const log = await run(['dump', snapshotId, 'log']);
  return Number(log.trimEnd().split('\n').at(-1));
}

async function removeContainers(...names: string[]): Promise<void> {
  await on.engine.docker(['rm', '-f', ...names]);
}

describe('a volume that a container writes to', () => {
  test('is saved in two passes on a file system without clones, and reports how long the container was still', async () => {
    await startWriter('counter', ['two-pass:/a', 'other:/b']);
    writeFileSync(join(on.engine.volumePath('two-pass'), 'large'), Buffer.alloc(20 << 20, 1));
    await sleep(1500);
    const [outcome] = await backUp(['two-pass']);
    expect(outcome).toMatchObject({
      outcome: 'good',
      grade: 'crash',
      evidence: { consistency: 'two-pass', apps: [{ name: 'counter' }] },
    });
    expect(outcome?.gradeReason).toMatch(/^"counter" still for \d+ ms$/);
    expect(outcome?.evidence?.stillMs).toBeLessThan(5000);
    // The log only: the rest was quiet.
    expect(outcome?.evidence?.inFlight).toMatchObject({ files: 1 });
    expect(await state('counter')).toBe('running');
    const listed = JSON.parse(await run(['snapshots', 'two-pass', '--format', 'json'])) as Snapshot[];
    expect(listed[0]?.evidence).toEqual(outcome?.evidence);
    await removeContainers('counter');
  });

  test('runs again at its time limit, is tried again, and is torn with the files in flight if that does not help', async () => {
    await startWriter('busy', ['bounded:/a', 'other:/b']);
    const args = [
      'backup',
      'bounded',
      '--consistency',
      'two-pass',
      '--max-still',
      '1ms',
      '--still-tries',
      '2',
    ];
    const { exit, stdout, stderr } = await on.attempt([...args, '--format', 'json']);
    // The log changes while it is read.
    expect([0, 3], stderr).toContain(exit);
    const [outcome] = (JSON.parse(stdout) as BackupJson).outcomes;
    expect(outcome).toMatchObject({
      grade: 'torn',
      gradeReason: expect.stringMatching(/"busy" still for \d+ ms \(at most 1 ms\), then ran again before/),
      evidence: { maxStillMs: 1, inFlight: { tries: 2, late: expect.any(Number) } },
    });
    expect(stderr).toContain('"busy" run again before all was read: 1 ms were over');
    expect(await state('busy')).toBe('running');
    await removeContainers('busy');
    await on.engine.docker(['run', '-d', '--name', 'calm', '-v', 'bounded:/a', 'busybox', 'sleep', '1000']);
    await sleep(2000);
    const [calm] = await backUp(['bounded', '--consistency', 'two-pass', '--max-still', '1ms']);
    expect(calm).toMatchObject({ grade: 'crash', evidence: { maxStillMs: 1 } });
    await removeContainers('calm');
  });

  test('is saved cold with a stop, and in one pass with a pause', async () => {
    await startWriter('stopped', ['cold:/a', 'other:/b']);
    const [cold] = await backUp(['cold', '--consistency', 'stop']);
    expect(cold).toMatchObject({ grade: 'cold', evidence: { consistency: 'stop' } });
    const [paused] = await backUp(['cold', '--consistency', 'pause']);
    expect(paused).toMatchObject({ grade: 'crash', evidence: { consistency: 'pause' } });
    expect(paused?.evidence?.inFlight).toBeUndefined();
    const [live] = await backUp(['cold', '--consistency', 'live']);
    expect(live).toMatchObject({ grade: 'torn', evidence: { consistency: 'live' } });
    expect(await state('stopped')).toBe('running');
    await removeContainers('stopped');
  });

  test('is paused while it is read through the engine', async () => {
    await startWriter('far', ['streamed:/a', 'other:/b']);
    const [outcome] = await backUp(['streamed'], { HOLDFAST_DATA_WAY: 'stream' });
    expect(outcome).toMatchObject({ outcome: 'good', grade: 'crash', evidence: { consistency: 'pause' } });
    const refused = await on.attempt(['backup', 'streamed', '--consistency', 'two-pass'], {
      env: { HOLDFAST_DATA_WAY: 'stream' },
    });
    expect(refused.exit).toBe(1);
    expect(refused.stderr).toContain('read through the engine');
    expect(await state('far')).toBe('running');
    await removeContainers('far');
  });

  test('is left alone without writers, and in a dry run', async () => {
    await startWriter('idle', ['quiet:/a', 'other:/b']);
    const before = await on.engine.docker(['inspect', '--format', '{{.State.StartedAt}}', 'idle']);
    const dry = await run(['backup', 'quiet', '--dry-run']);
    expect(dry).toContain('by two-pass: "idle" would be paused');
    await on.engine.docker(['stop', 'idle']);
    const [outcome] = await backUp(['quiet']);
    expect(outcome).toMatchObject({ grade: 'cold', evidence: { consistency: 'cold' } });
    expect(await state('idle')).toBe('exited');
    expect(await on.engine.docker(['inspect', '--format', '{{.State.StartedAt}}', 'idle'])).toBe(before);
    await removeContainers('idle');
  });

  test('has all its writers still: by a bind mount of its folder, of one above, and through another volume', async () => {
    await on.engine.docker(['volume', 'create', 'shared']);
    const root = on.engine.volumePath('shared');
    const bind = ['--opt', 'type=none', '--opt', 'o=bind', '--opt', `device=${root}`];
    await on.engine.docker(['volume', 'create', ...bind, 'alias']);
    await startWriter('by-name', ['shared:/a', 'other:/b']);
    await startWriter('by-path', [`${root}:/a`, 'other:/b']);
    await startWriter('from-above', [`${join(root, '..')}:/a`, 'other:/b']);
    await startWriter('by-alias', ['alias:/a', 'other:/b']);
    await on.engine.docker([
      'run',
      '-d',
      '--name',
      'by-from',
      '--volumes-from',
      'by-name',
      'busybox',
      'sleep',
      '999',
    ]);
    await on.engine.docker([
      'run',
      '-d',
      '--name',
      'reader',
      '-v',
      'shared:/a:ro',
      'busybox',
      'sleep',
      '999',
    ]);
    const [outcome] = await backUp(['shared']);
    const names = outcome?.evidence?.apps?.map(({ name }) => name).toSorted();
    expect(names).toEqual(['by-alias', 'by-from', 'by-name', 'by-path', 'from-above']);
    expect(outcome?.grade).toBe('crash');
    await removeContainers('by-name', 'by-path', 'from-above', 'by-alias', 'by-from', 'reader');
  });

  test('is torn when a process of the machine has a file open for writing', async () => {
    await startWriter('watched', ['open:/a', 'other:/b']);
    const file = join(on.engine.volumePath('open'), 'by-hand');
    const child = spawn('sh', ['-c', 'exec 3>>"$0"; exec sleep 100', file], { stdio: 'ignore' });
    await expect.poll(() => existsSync(file)).toBe(true);
    const [outcome] = await backUp(['open']);
    expect(outcome?.grade).toBe('torn');
    expect(outcome?.gradeReason).toContain(`process ${child.pid}`);
    child.kill();
    await once(child, 'exit');
    expect((await backUp(['open']))[0]?.grade).toBe('crash');
    await removeContainers('watched');
  });
});

/** Exits at once on SIGTERM. */
const idling = ['busybox', 'sh', '-c', 'trap "exit 0" TERM; while true; do sleep 0.2; done'];

describe('a volume whose containers are to be stopped', () => {
  test('includes what a container writes within its stop time-out, and is not cold when it had to be killed', async () => {
    const slow = 'trap "sleep 11; echo whole > /a/state; exit 0" TERM; while true; do sleep 0.1; done';
    const deaf = 'trap "" TERM; while true; do sleep 0.1; done';
    const [patient, short] = ['--stop-timeout=25', '--stop-timeout=1'];
    await on.engine.docker([
      'run',
      '-d',
      '--name',
      'slow',
      patient,
      '-v',
      'slow:/a',
      'busybox',
      'sh',
      '-c',
      slow,
    ]);
    await on.engine.docker([
      'run',
      '-d',
      '--name',
      'deaf',
      short,
      '-v',
      'deaf:/a',
      'busybox',
      'sh',
      '-c',
      deaf,
    ]);
    const [whole] = await backUp(['slow', '--consistency', 'stop']);
    expect(whole).toMatchObject({ grade: 'cold' });
    expect(await run(['dump', whole?.snapshotId ?? '', 'state'])).toBe('whole\n');
    const { stdout, stderr } = await on.run(['backup', 'deaf', '--consistency', 'stop', '--format', 'json']);
    const [killed] = (JSON.parse(stdout) as BackupJson).outcomes;
    expect(killed).toMatchObject({ grade: 'crash' });
    expect(killed?.gradeReason).toMatch(/^"deaf" did not stop by itself and was killed after \d+\.\d s$/);
    expect(stderr).toContain('"deaf" did not stop by itself');
    expect(await state('deaf')).toBe('running');
    await removeContainers('slow', 'deaf');
  });

  test('is saved without stopping containers that users have paused, which keep their memory, and is not cold', async () => {
    for (const name of ['beside', 'held'])
      await on.engine.docker(['run', '-d', '--name', name, '-v', 'paused:/a', ...idling]);
    await on.engine.docker(['pause', 'held']);
    const since = (): Promise<string> =>
      on.engine.docker(['inspect', '-f', '{{.State.Status}} {{.State.StartedAt}}', 'held']);
    const before = await since();
    const [outcome] = await backUp(['paused', '--consistency', 'stop']);
    expect(outcome).toMatchObject({ grade: 'crash', gradeReason: '"held" was paused' });
    expect(await since()).toBe(before);
    await on.engine.docker(['stop', '-t', '5', 'beside']);
    const [alone] = await backUp(['paused', '--consistency', 'stop']);
    expect(alone).toMatchObject({ grade: 'crash', gradeReason: '"held" was paused' });
    expect(await since()).toBe(before);
    await removeContainers('beside', 'held');
  });

  test('does not break the network of a container that has joined one to be stopped', async () => {
    await on.engine.docker(['run', '-d', '--name', 'net-db', '-v', 'joined:/a', ...idling]);
    await on.engine.docker(['run', '-d', '--name', 'net-web', '--network', 'container:net-db', ...idling]);
    const [outcome] = await backUp(['joined', '--consistency', 'stop']);
    expect(outcome).toMatchObject({ grade: 'cold', evidence: { apps: [{ name: 'net-db' }] } });
    const network = (name: string): Promise<string> =>
      on.engine.docker(['exec', name, 'readlink', '/proc/1/ns/net']);
    expect(await network('net-web')).toBe(await network('net-db'));
    // Stopping would remove it, so neither it nor the container that it has joined can be stopped.
    await removeContainers('net-web');
    const job = ['run', '-d', '--rm', '--name', 'net-job', '--network', 'container:net-db'];
    await on.engine.docker([...job, ...idling]);
    const [paused] = await backUp(['joined', '--consistency', 'stop']);
    expect(paused).toMatchObject({ grade: 'crash' });
    expect(await network('net-job')).toBe(await network('net-db'));
    await removeContainers('net-job', 'net-db');
  });
});

describe('a volume that a program of the machine writes to briefly', () => {
  test('is torn when files vanish while they are read, and names them', async () => {
    await on.engine.docker(['volume', 'create', 'passing']);
    const root = on.engine.volumePath('passing');
    for (let i = 0; i < 3000; i++) writeFileSync(join(root, `kept-${i}`), String(i));
    const script =
      'cd "$0" || exit 1; while :; do for i in 0 1 2 3 4 5 6 7 8 9; do : > "z$i"; done; rm -f z?; done';
    const child = spawn('sh', ['-c', script, root], { stdio: 'ignore' });
    try {
      let torn: BackupJson['outcomes'][number] | undefined;
      for (let attempt = 0; attempt < 20 && torn === undefined; attempt++) {
        const { stdout } = await on.attempt(['backup', 'passing', '--format', 'json']);
        const [outcome] = (JSON.parse(stdout) as BackupJson).outcomes;
        if ((outcome?.problems ?? []).length > 0) torn = outcome;
      }
      expect(torn).toMatchObject({ outcome: 'partial', grade: 'torn' });
      expect(torn?.gradeReason).toMatch(/something wrote to it|could write while it was read/);
    } finally {
      child.kill();
      await once(child, 'exit');
    }
  });
});

describe('all data of a container', () => {
  test('its volumes and bind mounts are saved at one moment by its name, without a socket', async () => {
    const site = join(on.engine.folder, 'site');
    mkdirSync(site);
    const socket = `${on.engine.socket}:/var/run/docker.sock`;
    await startWriter('keeper', ['kept:/a', `${site}:/b`, socket], ['holdfast.consistency=pause']);
    const { exit, stdout, stderr } = await on.attempt([
      'backup',
      '--container',
      'keeper',
      '--format',
      'json',
    ]);
    expect(exit, stderr).toBe(0);
    const report = JSON.parse(stdout) as BackupJson & {
      readonly skipped: readonly { readonly name: string }[];
    };
    const [volume, folder, ...others] = report.outcomes;
    expect([volume, folder, others]).toMatchObject([
      { kind: 'volume', name: 'kept', evidence: { consistency: 'pause', apps: [{ name: 'keeper' }] } },
      { kind: 'path', name: site, evidence: { consistency: 'pause' } },
      [],
    ]);
    expect(report.skipped).toMatchObject([{ name: on.engine.socket }]);
    // The count is written to one of them first.
    const ahead = (await lastCount(volume?.snapshotId ?? '')) - (await lastCount(folder?.snapshotId ?? ''));
    expect([0, 1]).toContain(ahead);
    expect(await state('keeper')).toBe('running');
    const wrong = await on.attempt(['backup', '--container', 'keepr']);
    expect(wrong).toMatchObject({ exit: 4, stderr: expect.stringContaining('Did you mean "keeper"?') });
    await removeContainers('keeper');
  });
});

describe('the volumes of a stack', () => {
  test('are saved at one moment, as one restore point', async () => {
    const project = 'com.docker.compose.project=shop';
    for (const name of ['shop_a', 'shop_b'])
      await on.engine.docker(['volume', 'create', '--label', project, name]);
    await startWriter(
      'shop-count-1',
      ['shop_a:/a', 'shop_b:/b'],
      [project, 'com.docker.compose.service=count', 'com.docker.compose.container-number=1'],
    );
    for (const consistency of ['auto', 'pause', 'stop']) {
      const outcomes = await backUp(['--stack', 'shop', '--consistency', consistency]);
      expect(outcomes.map(({ name }) => name)).toEqual(['shop_a', 'shop_b']);
      const [a, b] = outcomes;
      expect(a?.restorePoint).toMatch(/^[0-9a-f]{16}$/);
      expect(b?.restorePoint).toBe(a?.restorePoint);
      // The writer was between its two writes, or after both: no other order is possible.
      const ahead = (await lastCount(a?.snapshotId ?? '')) - (await lastCount(b?.snapshotId ?? ''));
      expect([0, 1], consistency).toContain(ahead);
    }
    await removeContainers('shop-count-1');
  });
});

describe.each<LoopFilesystemType>(['xfs', 'btrfs'])('on %s', (type) => {
  test('a volume is frozen: large files are cloned, and read while the app runs again', async () => {
    await using disk = mountLoopFilesystem(type, { sizeBytes: 600 << 20 });
    const device = join(disk.path, 'data');
    mkdirSync(device);
    const name = `on-${type}`;
    const bind = ['--opt', 'type=none', '--opt', 'o=bind', '--opt', `device=${device}`];
    await on.engine.docker(['volume', 'create', ...bind, name]);
    writeFileSync(join(device, 'table'), Buffer.alloc(150 << 20, 7));
    // Writes all over a large file, and counts.
    const writing =
      'trap "exit 0" TERM; i=0; while true; do i=$((i+1)); echo $i >> /a/log; dd if=/dev/urandom of=/a/table bs=8k count=1 seek=$((i*37%19000)) conv=notrunc 2>/dev/null; done';
    await on.engine.docker(['run', '-d', '--name', name, '-v', `${name}:/a`, 'busybox', 'sh', '-c', writing]);
    await sleep(500);
    try {
      await backUp([name]);
      const [outcome] = await backUp([name]);
      expect(outcome).toMatchObject({ outcome: 'good', grade: 'crash', evidence: { consistency: 'freeze' } });
      expect(outcome?.evidence?.inFlight).toMatchObject({ files: 2 });
      const stillMs = outcome?.evidence?.stillMs ?? Infinity;
      console.log(`${type}: still for ${stillMs} ms, with 150 MB changed`);
      expect(stillMs).toBeLessThan(5000);
      expect(await state(name)).toBe('running');
      await run(['check', '--read-data']);
    } finally {
      await removeContainers(name);
      await on.engine.docker(['volume', 'rm', name]);
    }
  });
});

describe('a service that the audit’s fix has Compose make anew', () => {
  const before = '      - data:/srv\n';
  const after = '      - data:/srv/data\n';
  const file = `services:\n  app:\n    image: writer:1\n    network_mode: none\n    stop_grace_period: 5s\n    volumes:\n${before}volumes: { data: }\n`;

  /** Has removed the old container, and waits for "go" before it makes the new one. */
  const compose = (folder: string): string => `#!/bin/sh
shift
case " $* " in *" up "*)
  docker-compose "$@" --no-start --scale app=0 || exit 1
  echo $$ > ${folder}/pid.new && mv ${folder}/pid.new ${folder}/pid
  until [ -e ${folder}/go ]; do echo waiting; echo waiting >&2; sleep 0.05; done;;
esac
exec docker-compose "$@"
`;

  test.each([
    ['runs afterwards where Holdfast alone was killed', false],
    ['is told of by the recovery where Compose was killed too, until it runs', true],
  ])('%s', async (_, isWithCompose) => {
    const name = isWithCompose ? 'bothkilled' : 'alone';
    const container = `${name}-app-1`;
    const { docker } = on.engine;
    const writing = 'trap "exit 0" TERM; echo row > /srv/data/rows; while :; do sleep 0.1 & wait $!; done';
    const changes = ['VOLUME ["/srv/data"]', `ENTRYPOINT ${JSON.stringify(['sh', '-c', writing])}`];
    const made = await docker(['create', 'busybox', 'true']);
    await docker(['commit', ...changes.flatMap((change) => ['--change', change]), made, 'writer:1']);
    await docker(['rm', made]);
    const stack = await makeStack(on.engine, { name, files: { 'compose.yaml': file } });
    onTestFinished(async () => void (await stack.compose('down', '-v', '-t', '0')));
    await stack.compose('up', '-d');
    const rows = async (): Promise<string> =>
      await docker(['exec', container, 'cat', '/srv/data/rows']).catch(() => '');
    await expect.poll(rows).toBe('row');
    const programs = join(stack.folder, 'programs');
    rmSync(programs, { recursive: true, force: true });
    mkdirSync(programs);
    writeFileSync(join(programs, 'docker'), compose(programs), { mode: 0o755 });

    let fixing: ReturnType<typeof spawn> | undefined;
    const ended = on.attempt(['audit', name, '--fix', '--yes', '--fail-on', 'never'], {
      env: { PATH: `${programs}:${process.env['PATH']}` },
      onStderr: (child) => void (fixing = child),
    });
    await expect.poll(() => existsSync(join(programs, 'pid'))).toBe(true);
    fixing?.kill('SIGKILL');
    expect((await ended).exit).toBe(137);
    expect(await docker(['ps', '-aq', '-f', `label=com.docker.compose.project=${name}`])).toBe('');
    if (isWithCompose) process.kill(-Number(readFileSync(join(programs, 'pid'), 'utf8')), 'SIGKILL');
    writeFileSync(join(programs, 'go'), '');

    if (isWithCompose) {
      // As where the new container was made, and did not start.
      await stack.compose('create', 'app');
      const { exit, stdout } = await on.attempt(['recover']);
      expect([exit, stdout]).toEqual([1, expect.stringContaining('run "docker compose up -d app"')]);
      await stack.compose('up', '-d', 'app');
    }
    await expect.poll(rows).toBe('row');
    expect(readFileSync(join(stack.folder, 'compose.yaml'), 'utf8')).toBe(file.replace(before, after));
    const template = '{{range .Mounts}}{{.Name}} {{.Destination}}{{end}}';
    expect(await docker(['inspect', '-f', template, container])).toBe(`${name}_data /srv/data`);
    expect((await on.attempt(['recover'])).exit).toBe(0);
    expect(on.list('journal-apps')).toEqual([]);
  });
});
