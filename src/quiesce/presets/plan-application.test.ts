import { expect, test } from 'vitest';
import { memoryContainers } from '../../../test/fixtures/containers.ts';
import type { Container } from '../../hosts/containers.ts';
import { type ApplicationVolume, findMissingDumps, planApplication } from './plan-application.ts';

function container(name: string, request: Partial<Container> = {}): Container {
  const mounts = [{ type: 'volume', source: 'pg', destination: '/data', readOnly: false }] as const;
  return memoryContainers().add({ name, id: name.padEnd(64, '0'), image: 'postgres:17', mounts, ...request });
}

function volume(containers: readonly Container[], more: Partial<ApplicationVolume> = {}): ApplicationVolume {
  return { name: 'pg', labels: {}, stack: undefined, containers, disk: undefined, ...more };
}

const disk = new Map([
  ['PG_VERSION', Buffer.from('17')],
  ['global', Buffer.alloc(0)],
]);

test('the container of the database is asked, not one that only mounts its volume', () => {
  const all = [container('a-backup', { image: 'busybox' }), container('db')];
  const { servers } = planApplication([volume(all, { disk })], all);
  expect(servers).toMatchObject([
    { container: { name: 'db' }, preset: { name: 'postgresql' }, isWanted: false },
  ]);
});

test('a container that does not run is asked nothing, and runs no hooks of its own', () => {
  const all = [container('db', { state: 'exited', labels: { 'holdfast.hook.before': 'x' } })];
  const plan = planApplication([volume(all)], all);
  expect(plan.servers).toEqual([]);
  expect(plan.hooks).toEqual([]);
});

test('a named preset has to work, and "none" means no preset', () => {
  const all = [container('db', { image: 'my/own' })];
  const named = planApplication([volume(all, { labels: { 'holdfast.preset': 'mysql' } })], all);
  expect(named.servers).toMatchObject([{ preset: { name: 'mariadb' }, isWanted: true }]);
  const none = planApplication([volume(all, { labels: { 'holdfast.preset': 'none' }, disk })], all);
  expect(none.servers).toEqual([]);
});

test('what the command line says is stronger than the volume’s labels, and they than its containers’', () => {
  const all = [container('db', { labels: { 'holdfast.dump': 'true' } })];
  const dumps = (more: Partial<ApplicationVolume>): boolean | undefined =>
    planApplication([volume(all, more)], all).servers[0]?.dump;
  expect(dumps({})).toBe(true);
  expect(dumps({ labels: { 'holdfast.dump': 'false' } })).toBe(false);
  expect(dumps({ labels: { 'holdfast.dump': 'false' }, settings: { dump: true } })).toBe(true);
  expect(dumps({ settings: { dump: undefined } })).toBe(true);
});

test('a dump that nothing can make is an error, and not a backup without it', () => {
  const missing = (state: Container['state'], settings: ApplicationVolume['settings']): string[] => {
    const volumes = [volume([container('db', { state, image: 'my/own' })], { settings })];
    return findMissingDumps(planApplication(volumes, volumes[0]?.containers ?? []), volumes);
  };
  expect(() => missing('running', { dump: true })).toThrow(/Cannot dump "pg": no database runs on it/);
  expect(() => missing('exited', { dump: true, mustDump: true })).toThrow(/Cannot dump "pg"/);
  expect(missing('exited', { dump: true })).toEqual([
    '"pg" is not dumped: no container of it runs. Its files are saved.',
  ]);
  expect(missing('running', {})).toEqual([]);
});

test('a label about some volumes of a container does not concern the others', () => {
  const all = [container('db', { labels: { 'holdfast.volumes': 'other', 'holdfast.dump': 'true' } })];
  expect(planApplication([volume(all)], all).servers).toEqual([]);
});

test('a hook of a label finds the service of its own stack, and reaches no other stack', () => {
  const all = [
    container('shop-web-1', { stack: 'shop', service: 'web', mounts: [] }),
    container('blog-web-1', { stack: 'blog', service: 'web', mounts: [] }),
    container('shop-db-1', {
      stack: 'shop',
      service: 'db',
      labels: {
        'holdfast.hook.before': 'own',
        'holdfast.hook.before.2': 'there',
        'holdfast.hook.before.2.in': 'web',
        'holdfast.hook.after': 'named',
        'holdfast.hook.after.in': 'blog-web-1',
        'holdfast.hook.on-error': 'lost',
        'holdfast.hook.on-error.in': 'nowhere',
      },
    }),
  ];
  const { hooks } = planApplication([volume(all.slice(2))], all);
  const names = (planned: typeof hooks) =>
    Object.fromEntries(planned.map(({ hook, identity }) => [hook.command[0], identity?.name]));
  expect(names(hooks)).toEqual({ own: 'shop-db-1', named: undefined, lost: undefined, there: 'shop-web-1' });
  expect(hooks.filter((planned) => planned.isOutOfReach).map(({ hook }) => hook.command[0])).toEqual([
    'named',
  ]);
  const configured = hooks.map(({ hook }) => ({ ...hook, runsAnywhere: true }));
  const free = planApplication([volume([], { stack: 'shop', settings: { hooks: configured } })], all);
  expect(names(free.hooks)).toMatchObject({ named: 'blog-web-1', there: 'shop-web-1' });
});

test('labels from an image do not count, and are reported', () => {
  const labels = { 'holdfast.hook.before': 'x', 'holdfast.preset': 'none', 'holdfast.dump': 'true' };
  const all = [container('db', { labels, imageLabels: { ...labels, 'holdfast.dump': 'false' } })];
  const plan = planApplication([volume(all, { disk })], all);
  expect(plan.hooks).toEqual([]);
  expect(plan.servers).toMatchObject([{ isWanted: true, dump: true }]);
  expect(plan.warnings).toEqual([
    expect.stringMatching(
      /"db" has labels of its image, which have no say: "holdfast.hook.before", "holdfast.preset"\./,
    ),
  ]);
});

test('a container that belongs to a stack only by its image has no say in it, and is not found there', () => {
  const claim = { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'db' };
  const evil = container('evil', {
    stack: 'shop',
    service: 'db',
    imageLabels: claim,
    labels: { ...claim, 'holdfast.hook.before': 'x', 'holdfast.hook.before.in': 'web' },
  });
  const web = container('shop-web-1', {
    stack: 'shop',
    service: 'web',
    labels: { 'holdfast.hook.before': 'secret', 'holdfast.hook.before.in': 'db' },
  });
  const plan = planApplication([volume([evil, web])], [evil, web]);
  expect(plan.hooks).toMatchObject([
    { hook: { command: ['x'] }, identity: undefined, isOutOfReach: true },
    { hook: { command: ['secret'] }, identity: undefined, isOutOfReach: true },
  ]);
});

test('a container whose image Compose built for the same project belongs to it', () => {
  const built = (service: string): Record<string, string> => ({
    'com.docker.compose.project': 'shop',
    'com.docker.compose.service': service,
    'com.docker.compose.version': '2.40.3',
  });
  const made = (service: string, labels: Record<string, string> = {}): Container =>
    container(`shop-${service}-1`, {
      stack: 'shop',
      service,
      imageLabels: built(service),
      labels: { ...built(service), 'com.docker.compose.config-hash': service, ...labels },
    });
  const db = made('db', { 'holdfast.hook.before': 'x', 'holdfast.hook.before.in': 'web' });
  const web = made('web');
  const { hooks } = planApplication([volume([db], { stack: 'shop' })], [db, web]);
  expect(hooks).toMatchObject([{ hook: { command: ['x'] }, identity: { name: 'shop-web-1' } }]);
});

test('a hook of an external volume runs in the only stack that uses it, and in none where two do', () => {
  const used = (stack: string, service: string): Container =>
    container(`${stack}-${service}-1`, { stack, service });
  const [db, web, blog] = [used('shop', 'db'), used('shop', 'web'), used('blog', 'cms')];
  const labels = { 'holdfast.hook.before': 'x', 'holdfast.hook.before.in': 'web' };
  const planned = (containers: readonly Container[]) =>
    planApplication([volume(containers, { labels })], [db, web, blog]).hooks;
  expect(planned([db])).toMatchObject([{ identity: { name: 'shop-web-1' } }]);
  expect(planned([db, blog])).toMatchObject([{ identity: undefined, isOutOfReach: true }]);
});

test('a hook of a container that has two of the volumes runs once', () => {
  const mounts = [
    { type: 'volume', source: 'pg', destination: '/data', readOnly: false },
    { type: 'volume', source: 'other', destination: '/other', readOnly: false },
  ] as const;
  const all = [container('db', { mounts, labels: { 'holdfast.hook.before': 'x' } })];
  const { hooks } = planApplication([volume(all), volume(all, { name: 'other' })], all);
  expect(hooks).toHaveLength(1);
});

test('containers of a group are stopped or paused together, each as its label says', () => {
  const all = [
    container('db', {
      labels: { 'nautical-backup.group': 'g', 'nautical-backup.stop-before-backup': 'true' },
    }),
    container('worker', { mounts: [], labels: { 'holdfast.group': 'g,h', 'holdfast.stop': 'pause' } }),
    container('other', { mounts: [], labels: { 'holdfast.group': 'h' } }),
  ];
  const { companions, stillness } = planApplication([volume(all.slice(0, 1))], all);
  expect(companions.map(({ name }) => name)).toEqual(['worker']);
  expect([...stillness.values()]).toEqual(['stop', 'pause']);
});

test('a way to keep still concerns the volume, or its containers where it is about them', () => {
  const all = [container('db')];
  const plan = (text: string) =>
    planApplication([volume(all, { labels: { 'holdfast.consistency': text } })], all);
  expect([...plan('two-pass').consistency.values()]).toEqual(['two-pass']);
  expect([...plan('stop').consistency.values(), ...plan('stop').stillness.values()]).toEqual(['stop']);
  expect([...plan('live').stillness.values()]).toEqual(['run']);
  expect(plan('frozen').warnings).toEqual([expect.stringMatching(/"frozen" is none of auto, freeze/)]);
});

test('an invalid label is reported once', () => {
  const all = [container('db', { labels: { 'holdfast.typo': 'x' } })];
  const { warnings } = planApplication([volume(all), volume(all, { name: 'pg2' })], all);
  expect(warnings).toEqual(['The label "holdfast.typo" of the container "db" is not known']);
});
