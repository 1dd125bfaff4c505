import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PluginService } from '../docker/plugin-service.ts';
import { PluginVolume, removeContainers } from '../docker/plugin-volume.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { type HoldfastCommand, holdfastCommand } from '../support/holdfast-command.ts';
import { ranMark } from '../support/restless-writer.ts';
import { treeFacts } from '../support/tree-facts.ts';

const checkout = join(import.meta.dirname, '../..');
const writer = join(import.meta.dirname, '../support/restless-writer.ts');

let engine: PrivateEngine;
let docker: PrivateEngine['docker'];
let plugin: PluginService;
let holdfast: HoldfastCommand;
beforeAll(async () => {
  engine = await startPrivateEngine({ hasPluginFolder: true });
  docker = engine.docker;
  await engine.importBusybox();
  plugin = new PluginService(join(engine.folder, 'state'), { socketFolder: engine.pluginFolder });
  await plugin.start();
  holdfast = holdfastCommand(plugin.stateDir, { HOLDFAST_HOST: 'docker', DOCKER_HOST: engine.dockerHost });
});
afterAll(async () => {
  if (engine === undefined) return;
  await removeContainers(engine);
  await plugin?.[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

/** Runs on this machine's Node.js, with the volume at /data. */
async function startWriter(volume: string): Promise<void> {
  const sees = [`${checkout}:${checkout}:ro`, '/usr:/usr:ro', '/usr/lib:/lib:ro', '/usr/lib64:/lib64:ro'];
  const mounts = [...sees, `${volume}:/data`].flatMap((mount) => ['-v', mount]);
  const command = [process.execPath, writer, '/data'];
  await docker(['run', '-d', '--network=none', '--name', 'writer', ...mounts, 'busybox', ...command]);
}

const turns = async (): Promise<number> =>
  Number(await docker(['exec', 'writer', 'sh', '-c', 'wc -l < /data/log']));

const dataOf = (volume: string): string => join(plugin.stateDir, 'volumes', volume, '_data');

test('what is written in pages, through memory maps, with times set back, under moving names is all there', async () => {
  const volume = new PluginVolume(docker, { name: 'pg', driver: plugin.driver });
  await volume.create();
  await startWriter('pg');
  const ways = [['local', '-o', 'size=300m'], ['gocryptfs'], ['local']];
  for (const [round, way] of ways.entries()) {
    const where = `round ${round}: ${way.join(' ')}`;
    await expect.poll(turns).toBeGreaterThan(20);
    const report = JSON.parse(
      await holdfast.run('volume', 'migrate', 'pg', '--driver', ...way, '--yes', '--format', 'json'),
    ) as { keptAs: string; stopped: string[]; passes: number };
    expect(report, where).toMatchObject({ stopped: ['writer'] });
    expect(report.passes, where).toBeGreaterThan(2);
    // Its state when the writer stopped; after its restart, the writer changed nothing.
    await holdfast.run('--host', 'embedded', 'trash', 'restore', report.keptAs, '--to', `before-${round}`);
    const before = new PluginVolume(docker, { name: `before-${round}`, driver: plugin.driver });
    await before.keepRunning(`reader-${round}`);
    const facts = treeFacts(dataOf('pg'), { without: ['holes'] });
    expect(facts.length, where).toBeGreaterThan(15);
    expect(facts, where).toEqual(treeFacts(dataOf(before.name), { without: ['holes'] }));
    await docker(['rm', '-f', `reader-${round}`]);
    await before.remove();
    await docker(['exec', 'writer', 'rm', `/data/${ranMark}`, '/data/log']);
    await docker(['restart', '-t', '1', 'writer']);
  }
  await docker(['rm', '-f', 'writer']);
});

test('a large file under constant writes is not copied again while its container is stopped', async () => {
  const volume = new PluginVolume(docker, { name: 'large', driver: plugin.driver });
  await volume.create();
  const script =
    '[ -f /data/turn ] || dd if=/dev/urandom of=/data/large bs=1M count=200 2>/dev/null; i=0; while :; do i=$((i+1)); dd if=/dev/urandom of=/data/large bs=8k count=1 seek=$((i%20000)) conv=notrunc 2>/dev/null; echo $i > /data/turn; done';
  await docker([
    'run',
    '-d',
    '--name',
    'pages',
    '-v',
    'large:/data',
    'busybox',
    'sh',
    '-c',
    `trap "exit 0" TERM; ${script}`,
  ]);
  await expect.poll(() => readdirSync(dataOf('large'))).toContain('turn');
  const report = JSON.parse(
    await holdfast.run(
      'volume',
      'migrate',
      'large',
      '--driver',
      'local',
      '-o',
      'size=400m',
      '--yes',
      '--format',
      'json',
    ),
  ) as { bytes: number };
  const { size } = statSync(join(dataOf('large'), 'large'));
  expect(report.bytes).toBeGreaterThan(size);
  expect(report.bytes).toBeLessThan(size * 1.5);
  await docker(['rm', '-f', 'pages']);
});
