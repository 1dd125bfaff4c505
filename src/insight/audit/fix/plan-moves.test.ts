import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadProject } from '../../../compose/index.ts';
import type { Container } from '../../../hosts/containers.ts';
import type { Volume } from '../../../model/volume.ts';
import { memoryContainers } from '../../../../test/fixtures/containers.ts';
import { someVolume } from '../../../../test/fixtures/some-volume.ts';
import type { AuditedProject, VolumeContent } from '../audit-view.ts';
import { serviceOfContainer, volumesOfHost } from '../view-of-host.ts';
import { servicesOfProject, volumesOfProject } from '../view-of-project.ts';
import { type FixPlan, planMoves } from './plan-moves.ts';

const root = { uid: 999, gid: 999, mode: 0o700 };
const containersRoot = { uid: 0, gid: 0 };
const empty: VolumeContent = { isEmpty: true, newestMs: undefined, root, containersRoot };
const full: VolumeContent = { isEmpty: false, newestMs: 1, root, containersRoot };
const anonymous = 'f'.repeat(64);

const labels = { 'com.docker.compose.project': 'shop', 'com.docker.compose.service': 'db' };
const db: Partial<Container> & { readonly name: string } = {
  name: 'shop-db-1',
  stack: 'shop',
  service: 'db',
  labels,
  image: 'postgres:15',
  mounts: [
    { type: 'volume', source: 'shop_pg', destination: '/var/lib/postgresql', readOnly: false },
    { type: 'volume', source: anonymous, destination: '/var/lib/postgresql/data', readOnly: false },
  ],
};

interface World {
  /** The entry of the service's `volumes`. */
  readonly mount?: string;
  readonly container?: Partial<Container>;
  readonly pg?: Partial<Volume>;
  readonly contents?: Readonly<Record<string, VolumeContent>>;
  readonly hasFile?: boolean;
  /** Instead of the usual file. */
  readonly content?: string;
  /** Another stack that was made from the same file. */
  readonly sibling?: string;
  /** A container in the network of the one with the data. */
  readonly joiner?: string;
}

async function plan(world: World): Promise<FixPlan & { readonly file: string }> {
  const { mount = 'pg:/var/lib/postgresql', hasFile = true } = world;
  const folder = await mkdtemp(join(tmpdir(), 'moves-'));
  const file = join(folder, 'compose.yaml');
  const usual = `name: shop\nservices:\n  db:\n    image: postgres:15\n    volumes:\n      - ${mount}\nvolumes: { pg: }\n`;
  const { content = usual, sibling, joiner } = world;
  await writeFile(file, content);
  const project = await loadProject({ files: [file], env: {} });
  await rm(folder, { recursive: true });
  const lineAt: AuditedProject['lineAt'] = ({ line }) => content.split('\n')[line - 1];
  const audited: AuditedProject = { project, lineAt, secretFiles: new Map() };
  const inMemory = memoryContainers();
  const container = inMemory.add({ ...db, ...world.container });
  const others = [
    ...(sibling === undefined ? [] : [inMemory.add(ofStack(sibling, file))]),
    ...(joiner === undefined ? [] : [inMemory.add({ name: joiner, joins: [container.id] })]),
  ];
  const facts = {
    containers: [container, ...others],
    volumes: [
      someVolume('shop_pg', { stack: 'shop', ...world.pg }),
      someVolume(anonymous, { anonymous: true }),
    ],
    images: new Map(),
    contents: new Map(Object.entries(world.contents ?? { shop_pg: empty, [anonymous]: full })),
  };
  const onHost = volumesOfHost(facts);
  const volumes = [...(hasFile ? volumesOfProject(audited, onHost) : []), ...onHost];
  const ofFile = hasFile ? servicesOfProject(audited, facts.images, volumes) : [];
  const ofHost = {
    ...serviceOfContainer(container, facts, volumes),
    ...(ofFile[0] && { place: ofFile[0].place }),
  };
  const services = [...ofFile, ofHost, ...others.map((other) => serviceOfContainer(other, facts, volumes))];
  const backups = { repositories: [], deviceOf: new Map() };
  const view = { services, volumes, projects: hasFile ? [audited] : [], places: [], backups };
  return { ...planMoves(view, 'shop'), file };
}

function ofStack(stack: string, file: string): Partial<Container> & { readonly name: string } {
  const ofFile = {
    'com.docker.compose.project': stack,
    'com.docker.compose.service': 'db',
    'com.docker.compose.project.config_files': file,
  };
  return { name: `${stack}-db-1`, stack, service: 'db', labels: ofFile, image: 'postgres:15' };
}

test.each([
  ['pg:/var/lib/postgresql', '- pg:/var/lib/postgresql/data'],
  ['"pg:/var/lib/postgresql" # rows', '- "pg:/var/lib/postgresql/data" # rows'],
  ['pg:/var/lib/postgresql/:rw', '- pg:/var/lib/postgresql/data:rw'],
  [
    '{ type: volume, source: pg, target: /var/lib/postgresql }',
    '- { type: volume, source: pg, target: /var/lib/postgresql/data }',
  ],
])('changes the one place in the line "%s"', async (mount, after) => {
  const { moves, byHand, file } = await plan({ mount });
  expect(byHand).toEqual([]);
  expect(moves).toMatchObject([
    { from: anonymous, to: 'shop_pg', leftover: ['data'], edit: { file, line: 6, after: `      ${after}` } },
  ]);
});

test.each(['postgres:15', 'docker.io/library/postgres:15'])(
  'changes no file that says it already (%s)',
  async (image) => {
    const { moves } = await plan({ mount: 'pg:/var/lib/postgresql/data', container: { image } });
    expect(moves).toMatchObject([
      {
        ...{ from: anonymous, to: 'shop_pg', edit: undefined, image: 'postgres:15' },
        older: {
          line: 6,
          before: '      - pg:/var/lib/postgresql/data',
          after: '      - pg:/var/lib/postgresql',
        },
      },
    ]);
  },
);

test.each<[string, World, RegExp]>([
  ['a volume that holds data', { contents: { shop_pg: full, [anonymous]: full } }, /holds data already/],
  [
    'an anonymous volume without data',
    { contents: { shop_pg: empty, [anonymous]: empty } },
    /nothing to move/,
  ],
  ['volumes that nothing is known of', { contents: {} }, /could not be looked into/],
  [
    'a volume of others too',
    {
      pg: {
        consumers: [
          {
            id: 'x',
            name: 'other',
            image: 'x',
            state: 'running',
            stack: undefined,
            service: undefined,
            path: '/x',
            readOnly: true,
          },
        ],
      },
    },
    /is used by "other" too/,
  ],
  ['a container without a Compose file', { hasFile: false }, /Compose file was not found/],
  [
    'a line that names the place twice',
    { mount: 'pg:/var/lib/postgresql # not /var/lib/postgresql' },
    /not plain enough/,
  ],
  ['a line that takes the place from a variable', { mount: 'pg:${AT:-/var/lib/postgresql}x' }, /./],
  [
    'a line that another service reads by an anchor',
    {
      content: `name: shop
services:
  db:
    image: postgres:15
    volumes: &rows
      - pg:/var/lib/postgresql
  later:
    image: postgres:15
    profiles: [later]
    volumes: *rows
volumes: { pg: }
`,
    },
    /that of "later" too/,
  ],
  [
    'a line of a service that another extends',
    {
      content: `name: shop
services:
  base:
    image: postgres:15
    profiles: [none]
    volumes:
      - pg:/var/lib/postgresql
  db:
    extends: base
    profiles: !reset []
volumes: { pg: }
`,
    },
    /that of "base" too/,
  ],
  [
    'a file with another image than the container',
    { mount: 'pg:/var/lib/postgresql/data', container: { image: 'postgres:14' } },
    /names the image "postgres:15" by now/,
  ],
  ['a container whose network another has', { joiner: 'proxy' }, /"proxy" shares its network/],
  ['a file of another stack too', { sibling: 'staging' }, /that of stack "staging" too/],
  [
    'a folder of the machine',
    {
      container: {
        mounts: [
          { type: 'bind', source: '/srv/pg', destination: '/var/lib/postgresql', readOnly: false },
          { type: 'volume', source: anonymous, destination: '/var/lib/postgresql/data', readOnly: false },
        ],
      },
    },
    /folder of the machine/,
  ],
])('leaves to people %s', async (_, world, why) => {
  const { moves, byHand } = await plan(world);
  expect(moves).toEqual([]);
  expect(byHand).toEqual([{ subject: 'shop-db-1', why: expect.stringMatching(why) }]);
});
