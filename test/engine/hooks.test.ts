import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { onEngine } from '../support/on-engine.ts';

const on = onEngine({ host: 'docker' });

/**
 * Starts a container whose hooks record their environment in a volume that is not saved. It stops at once: by
 * force, or by itself with `endsByItself`.
 */
async function start(
  name: string,
  labels: Readonly<Record<string, string>>,
  { endsByItself = false } = {},
): Promise<void> {
  const options = Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]);
  await on.engine.docker([
    ...['run', '-d', '--init=false', '--stop-signal', endsByItself ? 'TERM' : 'KILL', '--name', name],
    ...['-v', `${name}:/data`, '-v', `${name}-notes:/notes`, ...options],
    ...(endsByItself ? ['busybox', 'sh', '-c', waiting] : ['busybox', 'sleep', '10000']),
  ]);
}

const waiting = 'trap "exit 0" TERM; while :; do sleep 0.2; done';

const note = (text: string): string => JSON.stringify(['sh', '-c', `echo "${text}" >> /notes/log`]);

function notes(name: string): string[] {
  const file = join(on.engine.volumePath(`${name}-notes`), 'log');
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
}

test('hooks run in order, with their environment', async () => {
  await start('ordered', {
    'holdfast.hook.before': note('before $HOLDFAST_VOLUME $(id -u)'),
    'holdfast.hook.before.user': '1000',
    'holdfast.hook.before.2': note('second'),
    'holdfast.hook.after': note('after $HOLDFAST_OUTCOME ${HOLDFAST_SNAPSHOT:0:8}'),
    'holdfast.hook.on-error': note('error'),
    'holdfast.hok.before': 'x',
  });
  await on.engine.docker(['exec', 'ordered', 'chmod', '777', '/notes']);
  await on.engine.docker(['exec', 'ordered', 'sh', '-c', 'touch /notes/log; chmod 666 /notes/log']);
  const { exit, stdout, stderr } = await on.attempt(['backup', 'ordered', '--format', 'json']);
  expect(exit, stderr).toBe(0);
  const [outcome] = (
    JSON.parse(stdout) as { outcomes: { snapshotId: string; evidence: { ran: string[] } }[] }
  ).outcomes;
  expect(notes('ordered')).toEqual([
    'before ordered 1000',
    'second',
    `after good ${outcome?.snapshotId.slice(0, 8)}`,
  ]);
  expect(outcome?.evidence.ran).toEqual(['sh in "ordered"', 'sh in "ordered"']);
  expect(stderr).toContain('did you mean "holdfast.hook.before"');
  expect(readdirSync(join(on.cli.stateDir, 'journal-hooks'))).toEqual([]);
});

test('a hook that fails before the backup ends it, and the hooks afterwards run', async () => {
  await start('failing', {
    'holdfast.hook.before': '["sh", "-c", "echo no such thing >&2; exit 7"]',
    'holdfast.hook.after': note('after $HOLDFAST_OUTCOME'),
    'holdfast.hook.on-error': note('error: $HOLDFAST_MESSAGE'),
  });
  const { exit, stderr } = await on.attempt(['backup', 'failing']);
  expect(exit).toBe(1);
  expect(stderr).toMatch(
    /The hook "before" \(the label "holdfast.hook.before"\) failed: "sh" in "failing" failed \(exit 7\)/,
  );
  expect(stderr).toContain('no such thing');
  expect(notes('failing')[0]).toBe('after failed');
  expect(notes('failing')[1]).toMatch(/^error: The hook "before" /);
  expect(JSON.parse((await on.attempt(['snapshots', 'failing', '--format', 'json'])).stdout)).toEqual([]);
});

test('a hook that only warns does not end the backup, and one that hangs is killed at its time-out', async () => {
  await start('hanging', {
    'holdfast.hook.before': 'sleep 1000',
    'holdfast.hook.before.timeout': '500ms',
    'holdfast.hook.before.on-failure': 'warn',
    'holdfast.hook.after': 'no-such-program',
    'holdfast.hook.after.on-failure': 'abort',
  });
  const { exit, stderr } = await on.attempt(['backup', 'hanging']);
  expect(stderr).toMatch(/"sleep" in "hanging" did not end within 500ms/);
  expect(stderr).toMatch(/The hook "after"/);
  // Saved, but not all went well.
  expect(exit).toBe(3);
  expect(await on.engine.docker(['top', 'hanging', '-eo', 'pid,args'])).not.toMatch(/sleep 1000$/m);
  expect(JSON.parse((await on.attempt(['snapshots', 'hanging', '--format', 'json'])).stdout)).toHaveLength(1);
});

test('due hooks run after an interrupt too', async () => {
  await start('interrupted', {
    'holdfast.hook.before': note('before'),
    'holdfast.hook.before.2': 'sleep 30',
    'holdfast.hook.after': note('after $HOLDFAST_OUTCOME'),
  });
  const running = on.attempt(['backup', 'interrupted']);
  const child = await startedChild('interrupted');
  child('SIGINT');
  const { exit } = await running;
  expect(exit).toBe(130);
  expect(notes('interrupted')).toEqual(['before', 'after cancelled']);
});

test('hooks that a killed backup has left due are run by the next command, once', async () => {
  await start('killed', {
    'holdfast.hook.before': note('before'),
    'holdfast.hook.before.2': 'sleep 30',
    'holdfast.hook.after': note('after $HOLDFAST_OUTCOME: $HOLDFAST_MESSAGE'),
  });
  const running = on.attempt(['backup', 'killed']);
  const child = await startedChild('killed');
  child('SIGKILL');
  expect((await running).exit).toBe(137);
  expect(notes('killed')).toEqual(['before']);
  const { stderr } = await on.attempt(['volume', 'ls']);
  expect(stderr).toMatch(/Hooks of an interrupted backup were run: sh/);
  expect(notes('killed')).toEqual(['before', 'after failed: The backup was killed']);
  await on.attempt(['volume', 'ls']);
  expect(notes('killed')).toHaveLength(2);
});

test('a hook that fails after the backup makes it partly done, and a later command runs it when possible', async () => {
  await start('maintained', {
    'holdfast.hook.before': '["touch", "/notes/maintenance"]',
    'holdfast.hook.after': '["sh", "-c", "test -e /notes/database && rm /notes/maintenance"]',
  });
  const folder = on.engine.volumePath('maintained-notes');
  const { exit, stderr } = await on.attempt(['backup', 'maintained']);
  expect(exit, stderr).toBe(3);
  expect(stderr).toMatch(/The hook "after"/);
  expect(stderr).toContain('stay due');
  const tried = await on.attempt(['recover', '--format', 'json']);
  expect(tried.exit).not.toBe(0);
  expect((JSON.parse(tried.stdout) as { hooks: unknown[] }).hooks).toContainEqual(
    expect.objectContaining({ command: 'sh', container: 'maintained' }),
  );
  expect(readdirSync(folder)).toContain('maintenance');
  await on.engine.docker(['exec', 'maintained', 'touch', '/notes/database']);
  // A hook that was just tried rests for some seconds.
  for (let tries = 0; tries < 40 && readdirSync(folder).includes('maintenance'); tries++) {
    await on.attempt(['recover']);
    await sleep(1000);
  }
  expect(readdirSync(folder)).not.toContain('maintenance');
});

test('labels of offen stop a container for the backup, and our own let another run on', async () => {
  const label = { 'docker-volume-backup.stop-during-backup': 'true' };
  await start('theirs', label, { endsByItself: true });
  const startedAt = (): Promise<string> =>
    on.engine.docker(['inspect', '--format', '{{.State.StartedAt}}', 'theirs']);
  const before = await startedAt();
  const stopped = await on.attempt(['backup', 'theirs', '--format', 'json']);
  expect((JSON.parse(stopped.stdout) as { outcomes: unknown[] }).outcomes[0]).toMatchObject({
    grade: 'cold',
  });
  expect(await startedAt()).not.toBe(before);
  await start('loose', { 'holdfast.stop': 'false' });
  const { stdout } = await on.attempt(['backup', 'loose', '--format', 'json']);
  expect((JSON.parse(stdout) as { outcomes: unknown[] }).outcomes[0]).toMatchObject({
    grade: 'torn',
    gradeReason: '"loose" could write while it was read',
  });
  const paused = await on.attempt(['backup', 'loose', '--consistency', 'pause', '--format', 'json']);
  expect((JSON.parse(paused.stdout) as { outcomes: unknown[] }).outcomes[0]).toMatchObject({
    grade: 'crash',
  });
});

/** Waits until the second hook sleeps, and returns a function that signals the command. */
async function startedChild(name: string): Promise<(signal: NodeJS.Signals) => void> {
  for (let tries = 0; tries < 600; tries++) {
    const processes = await on.engine.docker(['top', name, '-eo', 'pid,args']);
    if (processes.includes('sleep 30')) break;
    await sleep(100);
  }
  const pid = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .find((entry) => {
      try {
        const words = readFileSync(`/proc/${entry}/cmdline`, 'latin1').split('\0');
        return (
          words.includes('backup') && words.includes(name) && words.some((word) => word.includes('main.'))
        );
      } catch {
        return false;
      }
    });
  if (pid === undefined) throw new Error('The command is not there');
  return (signal) => void process.kill(Number(pid), signal);
}
