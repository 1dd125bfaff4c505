import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type ComposeFolder, composeFolder, noFacts } from '../../../test/fixtures/compose-folder.ts';
import { someVolume } from '../../../test/fixtures/some-volume.ts';
import type { Image } from '../../hosts/containers.ts';
import { lookAtProject, type ProjectFacts } from '../project-facts.ts';
import { applyPrepare } from './apply-prepare.ts';
import { planPrepare, type PreparePlan } from './plan-prepare.ts';

const noEngine = (): Promise<never> => Promise.reject(new Error('there is no engine'));

async function planOf(folder: ComposeFolder, more: Partial<ProjectFacts> = {}): Promise<PreparePlan> {
  const project = await folder.load();
  const facts = await lookAtProject(project, { host: noEngine });
  return planPrepare(project, { ...facts, unseen: [], ...more });
}

const image = (user: string): Image => ({ id: 'sha256:1', user, volumes: [], environment: {} });

test('plans folders with the owner of the service that writes, names files, and has nothing to do the second time', async () => {
  using folder = composeFolder({
    'compose.yaml': `services:
  db:
    image: postgres:15
    volumes: ['pg:/var/lib/postgresql/data', './init:/docker-entrypoint-initdb.d:ro']
  web:
    image: web
    user: '1000:1001'
    volumes: ['./logs:/logs', './app.yml:/etc/app.yml', 'pg:/pg:ro']
volumes:
  pg: {driver_opts: {type: none, o: bind, device: $DATA/pg}}
`.replace('$DATA', '/holdfast-no-such-folder'),
  });
  const plan = await planOf(folder);
  expect(plan.steps).toMatchObject([
    { path: '/holdfast-no-such-folder/pg', owner: { uid: 999, gid: 999 }, mode: 0o700 },
    { path: join(folder.path, 'init'), owner: undefined, mode: 0o755 },
    { path: join(folder.path, 'logs'), owner: { uid: 1000, gid: 1001 }, mode: 0o755 },
  ]);
  expect(plan.missingFiles).toMatchObject([{ path: join(folder.path, 'app.yml') }]);
  const own = { steps: plan.steps.slice(1).map((step) => ({ ...step, owner: undefined })) };
  await applyPrepare(own, { volumes: noEngine });
  expect(statSync(join(folder.path, 'logs')).isDirectory()).toBe(true);
  mkdirSync(join(folder.path, 'app'), { recursive: true });
  writeFileSync(join(folder.path, 'app.yml'), '');
  const again = await planOf(folder);
  expect(again.steps).toMatchObject([{ path: '/holdfast-no-such-folder/pg' }]);
  expect(again.missingFiles).toEqual([]);
});

test('a folder inside of another that is missing comes after it', async () => {
  using folder = composeFolder({
    'compose.yaml': `services: {web: {image: web, volumes: ['./a/b:/b', './a:/a']}}\n`,
  });
  const { steps } = await planOf(folder);
  expect(steps).toMatchObject([{ path: join(folder.path, 'a') }, { path: join(folder.path, 'a/b') }]);
});

test('a folder for configuration or first scripts stays with the people who fill it', async () => {
  using folder = composeFolder({
    'compose.yaml': `services:
  db:
    image: postgres:16
    volumes: ['./conf:/etc/postgresql', './data:/var/lib/postgresql/data', './init:/docker-entrypoint-initdb.d']
`,
  });
  expect((await planOf(folder)).steps).toMatchObject([
    { path: join(folder.path, 'conf'), owner: undefined, mode: 0o755 },
    { path: join(folder.path, 'data'), owner: { uid: 999, gid: 999 }, mode: 0o700 },
    { path: join(folder.path, 'init'), owner: undefined, mode: 0o755 },
  ]);
});

test('services that write as different users get no owner by guess, and it is said', async () => {
  using folder = composeFolder({
    'compose.yaml': `services:
  a: {image: a, user: '1000', volumes: ['./x:/x']}
  b: {image: b, volumes: ['./x:/x']}
  c: {image: c, volumes: ['./x:/x']}
`,
  });
  const images = new Map([
    ['b', image('1001')],
    ['c', image('')],
  ]);
  const plan = await planOf(folder, { images });
  expect(plan.steps).toMatchObject([{ owner: undefined }]);
  expect(plan.notes).toEqual([expect.stringContaining('1000:0 and 1001:0')]);
  const agreed = await planOf(folder, {
    images: new Map([
      ['b', image('1000')],
      ['c', image('')],
    ]),
  });
  expect(agreed.steps).toMatchObject([{ owner: { uid: 1000, gid: 0 } }]);
});

const external = `services: {web: {image: web, volumes: ['data:/data', 'secret:/secret', 'bad:/bad']}}
volumes:
  data: {external: true, name: kept}
  secret: {external: true, x-holdfast: {storage: {type: luks, size: 1g}}}
  bad: {external: true, x-holdfast: {storage: {type: luks, key: 'exec:touch /tmp/x'}}}
  unused: {external: true}
`;

test('external volumes are made where they are missing, encrypted ones by the driver, and no command is run', async () => {
  using folder = composeFolder({ 'compose.yaml': external });
  const plan = await planOf(folder, { volumes: new Map() });
  expect(plan.steps).toMatchObject([
    { spec: { name: 'kept', driver: 'local', options: {} }, isEncrypted: false },
    {
      spec: { name: 'secret', driver: 'holdfast', options: { type: 'luks', size: '1g' } },
      isEncrypted: true,
    },
  ]);
  expect(plan.notes).toContainEqual(expect.stringMatching(/"bad" is not made.*"key"/));
  const there = new Map(['kept', 'secret', 'bad'].map((name) => [name, someVolume(name)]));
  expect(await planOf(folder, { volumes: there })).toMatchObject({ steps: [], notes: [] });
});

test('without an engine no external volume is planned, and that is said', async () => {
  using folder = composeFolder({ 'compose.yaml': external });
  const project = await folder.load();
  const plan = planPrepare(project, noFacts);
  expect(plan.steps).toEqual([]);
  expect(plan.notes[0]).toContain('"kept"');
});

const shared = `services:
  root: {image: root, volumes: ['./data:/data', './both:/both', './own:/own']}
  user: {image: user, user: '1000:1001', volumes: ['./both:/both', './mixed:/mixed']}
  out: {image: root, userns_mode: host, volumes: ['./mixed:/mixed', './host:/host', './own:/own']}
  odd: {image: root, userns_mode: 'keep-id', volumes: ['./odd:/odd']}
`;

test('the numbers of an engine that maps users are those of this machine, root among them', async () => {
  using folder = composeFolder({ 'compose.yaml': shared });
  const ranges = [{ from: 0, to: 300_000, count: 65_536 }];
  const plan = await planOf(folder, {
    images: new Map(['root', 'out', 'odd'].map((name) => [name, image('')])),
    owners: { kind: 'remapped', map: { users: ranges, groups: ranges } },
  });
  const owners = plan.steps.map((step) =>
    step.kind === 'folder' ? [step.path.slice(folder.path.length + 1), step.owner] : [],
  );
  const mappedRoot = { uid: 300_000, gid: 300_000 };
  expect(Object.fromEntries(owners)).toEqual({
    both: { uid: 301_000, gid: 301_001 },
    data: mappedRoot,
    host: undefined,
    mixed: { uid: 301_000, gid: 301_001 },
    odd: undefined,
    own: mappedRoot,
  });
  expect(plan.steps[0]).toMatchObject({ because: '"user" of the service, 1000:1001 in the container' });
  expect(plan.notes).toEqual([expect.stringMatching(/odd": No owner was chosen: "userns_mode"/)]);
});
