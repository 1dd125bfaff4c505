import { request } from 'node:http';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isAppError } from '../../src/model/errors.ts';
import { matchesFilter, parseVolumeFilter } from '../../src/model/filter.ts';
import { mountDestination, type Mount } from '../../src/model/mount.ts';
import { formatCsvMount, formatShortMount } from '../support/format-mount.ts';
import { parseCsvMount } from '../../src/model/mount-csv.ts';
import { parseShortMount } from '../../src/model/mount-short.ts';
import { checkVolumeName } from '../../src/model/volume-name.ts';
import type { Volume } from '../../src/model/volume.ts';
import { type PrivateEngine, startPrivateEngine } from '../docker/private-engine.ts';
import { anyText, csvMounts, shortMounts } from '../support/mount-samples.ts';

let engine: PrivateEngine;

beforeAll(async () => {
  engine = await startPrivateEngine();
  await engine.importBusybox();
});

afterAll(() => engine?.[Symbol.asyncDispose]());

/** The same samples each time: the unit tests search at random. */
const samples = <T>(values: fc.Arbitrary<T>, count: number): T[] =>
  fc.sample(values, { numRuns: count, seed: 7 });

test('the engine reads -v as parseShortMount() does, and refuses it with the same message', async () => {
  const pieces = fc.array(
    fc.oneof(anyText, fc.constantFrom('/x', '/y', 'pg', 'ro', 'z', 'rslave', 'nocopy', 'cached,rw')),
    {
      minLength: 1,
      maxLength: 4,
    },
  );
  const hostile = samples(pieces, 250).map((parts) => parts.join(':'));
  const written = [
    ...[
      'pg:/x',
      '/srv:/x:ro',
      '/x',
      '/x:ro',
      'pg:/x:foo',
      'pg:/x:ro,rw',
      'pg:/',
      'pg:x',
      ':/x',
      'pg:/x:ro:z',
      'pg::ro',
    ],
    ...[
      'pg:/x:rshared',
      '/srv:/x:nocopy',
      'pg:/x/../..',
      'pg:/x:,',
      'pg:/x:z,Z',
      '/srv:/x:shared,rslave',
      '//:/x',
    ],
  ];
  let refused = 0;
  for (const spec of [...written, ...hostile]) {
    const ours = outcome(() => parseShortMount(spec));
    const theirs = await create({ Binds: [spec] });
    if (typeof ours === 'string') {
      refused += 1;
      // The command refuses the empty spec before an engine sees it.
      if (spec !== '') expect(theirs, spec).toBe(ours);
    } else {
      expectTaken(theirs, { Destination: mountDestination(ours), RW: !ours.readOnly });
    }
  }
  expect(refused).toBeGreaterThan(20);
});

test('the engine takes every mount that -v can express', async () => {
  for (const mount of samples(shortMounts, 60)) {
    const theirs = await create({ Binds: [formatShortMount(mount)] });
    expectTaken(theirs, { Type: mount.type, Destination: mountDestination(mount) });
  }
});

test('Docker’s command passes the engine what formatCsvMount() was given', async () => {
  const mounts = samples(csvMounts, 120).filter(
    // What this version of the command or of the engine does not have yet.
    (mount) =>
      (mount.type === 'bind' && !mount.createSource) ||
      (mount.type === 'volume' && mount.driver === undefined) ||
      mount.type === 'tmpfs',
  );
  expect(mounts.length).toBeGreaterThan(40);
  for (const mount of mounts) {
    const text = formatCsvMount(mount);
    // Makes no network, and starts nothing.
    const id = await engine
      .docker(['create', '--mount', text, 'busybox', 'true'])
      .catch((error: unknown) => String(error));
    if (!/^[0-9a-f]{64}$/.test(id)) {
      // Outside of the grammar: whether the source, the driver or its options exist.
      expect(id, text).toMatch(
        /bind source path does not exist|error looking up volume plugin|plugin .* not found|create .*: |must not set ReadOnly mode/,
      );
      continue;
    }
    const [found] = JSON.parse(
      await engine.docker(['inspect', '-f', '{{json .HostConfig.Mounts}}', id]),
    ) as ApiMount[];
    expect(found, text).toMatchObject(apiMount(mount));
  }
});

test('the engine refuses --mount with the same message', async () => {
  const texts = [
    ...[
      'type=bind,src=rel,dst=/x',
      'type=tmpfs,src=/a,dst=/x',
      'src=pg,dst=/',
      'src=pg,dst=x',
      'type=foo,dst=/x',
    ],
    ...[
      'type=bind,src=/tmp,dst=/x,bind-propagation=foo',
      'dst=/x,volume-subpath=a',
      'src=pg,dst=/x,volume-subpath=../a',
    ],
    ...[
      'type=bind,dst=/x',
      '"a"b,dst=/x',
      'type=volume,"dst=/x',
      'bogus',
      'type=bind,src=/a,dst=/x,volume-nocopy',
    ],
  ];
  for (const text of texts) {
    const ours = outcome(() => parseCsvMount(text));
    const theirs = await engine
      .docker(['create', '--mount', text, 'busybox', 'true'])
      .catch((error: unknown) => String(error));
    expect(ours, text).toBeTypeOf('string');
    expect(theirs, text).toContain(ours as string);
  }
});

test('the engine refuses names of volumes with the same message', async () => {
  const texts = [
    'x',
    'a b',
    '-a',
    'a/b',
    'é',
    'pg-1',
    'a"b\\c',
    ...samples(fc.string({ unit: 'binary-ascii' }), 60),
  ];
  for (const name of texts.filter((text) => text !== '')) {
    const ours = outcome(() => checkVolumeName(name));
    const { status, body } = await post('/volumes/create', { Name: name });
    if (typeof ours === 'string') expect(body, name).toMatchObject({ message: `create ${name}: ${ours}` });
    else expect(status, name).toBe(201);
  }
});

test('filters find what the engine finds', async () => {
  for (const [name, ...labels] of [
    ['Xab'],
    ['ab12', '--label', 'a=b'],
    ['l1', '--label', 'c', '--label', 'a='],
  ] as const) {
    await engine.docker(['volume', 'create', ...labels, name]);
  }
  const listed = JSON.parse(await get('/volumes')) as {
    Volumes: (Pick<Volume, 'name'> & Record<string, unknown>)[];
  };
  const volumes = listed.Volumes.map((found): Volume => {
    const labels = (found['Labels'] ?? {}) as Record<string, string>;
    const rest = { options: {}, scope: 'local', anonymous: false, stack: undefined, consumers: [] } as const;
    return {
      name: String(found['Name']),
      driver: 'local',
      labels,
      mountpoint: undefined,
      createdAt: undefined,
      ...rest,
    };
  });
  for (const filter of [
    'name=ab',
    'name=^ab',
    'name=(',
    'name=',
    'label=a',
    'label=a=',
    'label=c=',
    'label=',
    'driver=loc',
  ]) {
    const theirs = await engine.docker(['volume', 'ls', '-q', '--filter', filter]);
    const ours = volumes
      .filter((volume) => matchesFilter(volume, parseVolumeFilter([filter])))
      .map(({ name }) => name);
    expect(ours.toSorted(), filter).toEqual(theirs.split('\n').filter(Boolean).toSorted());
  }
});

interface ApiMount {
  readonly Type: string;
  readonly [field: string]: unknown;
}

/** Our result: a message, or what was parsed. */
function outcome<T>(action: () => T): T | string {
  try {
    return action();
  } catch (error) {
    if (isAppError(error)) return error.message;
    throw error;
  }
}

/** The engine's result: a message, or the mount that it made. */
async function create(hostConfig: object): Promise<unknown> {
  const { status, body } = await post('/containers/create', {
    Image: 'busybox',
    Cmd: ['true'],
    HostConfig: hostConfig,
  });
  if (status !== 201) return (body as { message: string }).message;
  const { Mounts } = JSON.parse(await get(`/containers/${(body as { Id: string }).Id}/json`)) as {
    Mounts: ApiMount[];
  };
  return Mounts[0];
}

/** The grammar does not cover names and sources that the engine rejects. */
function expectTaken(theirs: unknown, mount: object): void {
  if (typeof theirs === 'string') expect(theirs).toMatch(/^create |must use either propagation mode/);
  else expect(theirs).toMatchObject(mount);
}

function apiMount(mount: Mount): object {
  const base = { Type: mount.type, Target: mount.target, ...(mount.readOnly && { ReadOnly: true }) };
  if (mount.type === 'bind') {
    const { source, propagation } = mount;
    return {
      ...base,
      Source: source,
      ...(propagation !== undefined && { BindOptions: { Propagation: propagation } }),
    };
  }
  if (mount.type === 'tmpfs') {
    const { sizeBytes, mode } = mount;
    const options = {
      ...(sizeBytes !== undefined && { SizeBytes: sizeBytes }),
      ...(mode !== undefined && { Mode: mode }),
    };
    return { ...base, ...(Object.keys(options).length > 0 && { TmpfsOptions: options }) };
  }
  return { ...base, ...('source' in mount && { Source: mount.source }) };
}

function get(path: string): Promise<string> {
  return call('GET', path).then(({ text }) => text);
}

async function post(path: string, body: object): Promise<{ status: number; body: unknown }> {
  const { status, text } = await call('POST', path, JSON.stringify(body));
  return { status, body: JSON.parse(text) as unknown };
}

function call(method: string, path: string, body = ''): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const sent = request({ socketPath: engine.socket, method, path, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}
