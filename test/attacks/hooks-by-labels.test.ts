import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { onEngine } from '../support/on-engine.ts';

const on = onEngine({ host: 'docker' });

type Labels = Record<string, string>;

async function makeImage(name: string, labels: Labels): Promise<void> {
  const pairs = Object.entries(labels).map(
    ([key, value]) => `LABEL ${JSON.stringify(key)}=${JSON.stringify(value)}`,
  );
  const id = await on.engine.docker(['create', 'busybox', 'sleep', '100000']);
  await on.engine.docker(['commit', ...pairs.flatMap((pair) => ['--change', pair]), id, name]);
  await on.engine.docker(['rm', id]);
}

async function start(name: string, image: string, labels: Labels = {}): Promise<string> {
  return await on.engine.docker([
    ...['run', '-d', '--init=false', '--stop-signal', 'KILL', '--name', name, '-v', `${name}:/data`],
    ...Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]),
    ...[image, 'sleep', '100000'],
  ]);
}

const ran = (volume: string): string[] =>
  readdirSync(on.engine.volumePath(volume)).filter((file) => file.startsWith('ran-'));

/** Hooks in every place that a label can name, each of which leaves its own file. */
function hookLabels(targets: readonly (string | undefined)[]): { labels: Labels; count: number } {
  const labels: Labels = {};
  let count = 0;
  const mark = (): string => `touch /data/ran-${count++}`;
  for (const target of targets) {
    for (const user of [undefined, 'root', '0:0']) {
      for (const moment of ['before', 'during', 'after', 'on-error']) {
        const label = `holdfast.hook.${moment}.${count}`;
        labels[label] = mark();
        if (target !== undefined) labels[`${label}.in`] = target;
        if (user !== undefined) labels[`${label}.user`] = user;
        labels[`${label}.on-failure`] = 'warn';
      }
      for (const moment of ['pre', 'post', 'finally', 'error']) {
        const label = `stack-back.hooks.${moment}.${count}`;
        labels[`${label}.cmd`] = mark();
        if (target !== undefined) labels[`${label}.context`] = target;
        labels[`${label}.on-error`] = 'continue';
      }
    }
  }
  for (const name of ['archive-pre', 'exec-pre', 'archive-post', 'exec-post', 'copy-post']) {
    labels[`docker-volume-backup.${name}`] = mark();
    labels[`docker-volume-backup.${name}.user`] = 'root';
  }
  for (const moment of ['before', 'after']) labels[`nautical-backup.lifecycle.${moment}`] = mark();
  return { labels, count };
}

test(
  'no hook out of an image runs, in no container, and no label of it leaves data out',
  { timeout: 300_000 },
  async () => {
    const shop = { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'db' };
    const id = await start('shop-db-1', 'busybox', shop);
    const hooks = hookLabels([undefined, 'shop-db-1', id, id.slice(0, 12), 'db']);
    expect(hooks.count).toBeGreaterThan(100);
    const claims = { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'sidecar' };
    const silences = {
      'holdfast.backup': 'false',
      'holdfast.exclude': '*',
      'holdfast.volumes.exclude': 'silent',
      'holdfast.dump': 'true',
      'holdfast.consistency': 'live',
      'holdfast.keep.last': '1',
      'holdfast.group': 'everybody',
    };
    const images: Record<string, Labels> = {
      plain: hooks.labels,
      claiming: { ...hooks.labels, ...claims },
      silent: { ...silences, 'stack-back.volumes': 'false', 'nautical-backup.enable': 'false' },
      filed: {
        ...claims,
        'com.docker.compose.project.config_files': `${on.engine.volumePath('filed')}/compose.yaml`,
      },
    };
    for (const [name, labels] of Object.entries(images)) {
      await makeImage(`hostile-${name}`, labels);
      await start(name, `hostile-${name}`);
      writeFileSync(join(on.engine.volumePath(name), 'file'), name);
    }
    // What a container wrote into its own volume is no configuration.
    writeFileSync(
      join(on.engine.volumePath('filed'), 'compose.yaml'),
      'x-holdfast: { hooks: { before: [{ in: db, command: [touch, /data/ran-file] }] } }\nservices: {}\n',
    );
    for (const name of Object.keys(images)) {
      const { stderr, exit } = await on.attempt(['backup', name]);
      expect(exit, stderr).toBe(0);
      if (name !== 'filed') expect(stderr).toContain('have no say');
      expect((await on.run(['ls', name, '/'])).stdout).toContain('file');
    }
    const { exit, stderr } = await on.attempt(['backup', '--all']);
    expect(exit, stderr).toBe(0);
    for (const volume of ['shop-db-1', ...Object.keys(images)]) expect(ran(volume), volume).toEqual([]);
    const { stdout } = await on.run(['snapshots', 'silent', '--format', 'json']);
    expect(JSON.parse(stdout)).toHaveLength(2);
  },
);

test('labels of a container and files of a project reach no container of another project', async () => {
  const victim = { 'com.docker.compose.project': 'blog', 'com.docker.compose.service': 'cms' };
  await start('blog-cms-1', 'busybox', victim);
  const cross = (target: string): Labels => ({
    'holdfast.hook.before': 'touch /data/ran-cross',
    'holdfast.hook.before.in': target,
  });
  await start('alone', 'busybox', cross('blog-cms-1'));
  await start('other-app-1', 'busybox', {
    ...cross('cms'),
    'com.docker.compose.project': 'other',
    'com.docker.compose.service': 'app',
  });
  for (const name of ['alone', 'other-app-1']) {
    const { exit, stderr } = await on.attempt(['backup', name]);
    // What should have been quiesced was not, so no backup may claim it.
    expect(exit).toBe(1);
    expect(stderr).toMatch(/is not of the same Compose project/);
  }
  expect(ran('blog-cms-1')).toEqual([]);
  const friend = { 'com.docker.compose.project': 'blog', 'com.docker.compose.service': 'web' };
  await start('blog-web-1', 'busybox', { ...cross('cms'), ...friend });
  await on.run(['backup', 'blog-web-1']);
  expect(ran('blog-cms-1')).toEqual(['ran-cross']);
});
