import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { composeFolder, noFacts } from '../../../test/fixtures/compose-folder.ts';
import { someVolume } from '../../../test/fixtures/some-volume.ts';
import type { Host } from '../../hosts/host.ts';
import { AppError } from '../../model/errors.ts';
import type { Finding } from '../../model/finding.ts';
import type { Volume } from '../../model/volume.ts';
import { lookAtProject, type ProjectFacts } from '../project-facts.ts';
import { checkProject } from './check-project.ts';
import { checkRules } from './rules.ts';
import type { SettingsFacts } from './settings.ts';

const noSettings: SettingsFacts = { problems: [], namedPolicies: [], knownPolicies: undefined };

interface Around {
  readonly files?: Readonly<Record<string, string>>;
  /** By default: looks at the folder itself, without an engine. */
  readonly facts?: ProjectFacts;
  readonly settings?: SettingsFacts;
}

/** The findings on a Compose file, as `rule line:column`. */
async function check(yaml: string, around: Around = {}): Promise<readonly Finding[]> {
  using folder = composeFolder({ 'compose.yaml': yaml, ...around.files });
  const project = await folder.load();
  const host = (): Promise<never> => Promise.reject(new Error('there is no engine'));
  const facts = around.facts ?? (await lookAtProject(project, { host }));
  return checkProject(project, facts, around.settings ?? noSettings);
}

const shown = (findings: readonly Finding[]): string[] =>
  findings.map(({ rule, position }) => `${rule} ${position?.line}:${position?.column}`);

/** A service with these lines of `volumes`, which begin at line 5. */
const web = (...lines: string[]): string =>
  `services:\n  web:\n    image: web\n    volumes:\n${lines.map((line) => `      - ${line}\n`).join('')}`;

test('a file that says nothing wrong has no finding', async () => {
  const yaml = `${web('data:/data', './app.yml:/etc/app.yml:ro')}volumes:\n  data:\n`;
  expect(await check(yaml, { files: { 'app.yml': 'a: 1\n' } })).toEqual([]);
});

test.each([
  ['missing:/x', 'undefined-volume'],
  ['":/x"', 'invalid-mount'],
  ['"pg:/x:ro:z"', 'invalid-mount'],
  ['{type: bind, source: /etc}', 'invalid-mount'],
  [String.raw`"./a\0b:/x"`, 'invalid-mount'],
  [String.raw`{type: bind, source: "/etc/a\0b", target: /x}`, 'invalid-mount'],
])('what Compose refuses in %s is a finding with its place and what to do', async (line, rule) => {
  const findings = await check(web(line));
  expect(findings).toContainEqual(
    expect.objectContaining({ rule, severity: 'downtime', remedy: expect.stringMatching(/\w/) }),
  );
  expect(findings[0]?.position?.line).toBe(5);
});

test('a missing bind source becomes a folder of root, and a file that is meant becomes a folder', async () => {
  const findings = await check(
    web(
      './data:/data',
      './app.yml:/etc/app.yml:ro',
      './conf.d:/etc/conf.d:ro',
      './.env.d:/env',
      './Caddyfile:/etc/Caddyfile',
    ),
  );
  expect(shown(findings)).toEqual([
    'missing-bind-source 5:9',
    'folder-for-file 6:9',
    'missing-bind-source 7:9',
    'missing-bind-source 8:9',
    'folder-for-file 9:9',
  ]);
});

test('an empty folder where a file is meant was made by an earlier "up"; a folder with a name like a host is none', async () => {
  const files = { 'app.yml/': '', 'example.com/': '', 'full.yml/x': '' };
  const lines = ['./app.yml:/etc/app.yml', './example.com:/srv/example.com', './full.yml:/etc/full.yml'];
  const findings = await check(web(...lines, './new.com:/srv/new.com'), { files });
  expect(shown(findings)).toEqual(['folder-in-the-way 5:9', 'missing-bind-source 8:9']);
});

test('one path that several services mount is one finding', async () => {
  const yaml = `${web('./data:/data')}  api:\n    image: api\n    volumes: [./data:/srv]\n`;
  expect(await check(yaml)).toHaveLength(1);
});

test.each([
  ['postgres', true],
  ['localhost:5000/team/App:1', false],
  ['images.example.com:5000/team/app_x--y:1.2-RC_1', true],
  ['MyHost/app', true],
  ['[::1]:5000/app@sha256:' + 'a'.repeat(64), true],
  ['MyApp:latest', false],
  ['/app:latest', false],
  ['app:', false],
  ['team//app', false],
  ['images..example.com/app', false],
  ['https://example.com/app', false],
])('the image %s is a name to the engine: %s', async (image, isName) => {
  const findings = await check(`services:\n  web:\n    image: ${JSON.stringify(image)}\n`);
  expect(shown(findings)).toEqual(isName ? [] : ['refused-image 3:5']);
});

test('an image that the engine refuses to look at hides no volume that is missing', async () => {
  using folder = composeFolder({
    'compose.yaml': `${web('data:/data')}volumes: {data: {external: true}}\n`,
  });
  const project = await folder.load();
  const refusal = new AppError('failed', 'Cannot look at the image "web"', { detail: 'it is odd' });
  const host = {
    kind: 'docker',
    listVolumes: () => Promise.resolve([]),
    info: () => Promise.resolve({ kind: 'docker' }),
    containers: { findImage: () => Promise.reject(refusal) },
  } as unknown as Host;
  const facts = await lookAtProject(project, { host: () => Promise.resolve(host) });
  expect(facts.unseen).toEqual(['Cannot look at the image "web": it is odd.']);
  expect(checkProject(project, facts, noSettings).map(({ rule }) => rule)).toEqual([
    'missing-external-volume',
  ]);
});

test('a volume with a name of one letter, which Compose takes for a drive, is told to be renamed', async () => {
  const [finding] = await check(`${web('m:/data')}volumes: {m: }\n`);
  expect(finding).toMatchObject({ rule: 'invalid-mount', remedy: expect.stringContaining('"m:"') });
});

test('a path that comes by "volumes_from" is told where it is written', async () => {
  const yaml = `services:\n  api:\n    image: api\n    volumes_from: [web]\n${web('./data:/data').replace('services:\n', '')}`;
  const findings = await check(yaml);
  expect(findings.map(({ message }) => message)).toEqual([expect.stringContaining('service "web"')]);
  expect(shown(findings)).toEqual(['missing-bind-source 8:9']);
});

test('a source that "up" does not make, and the file of a secret, make it fail', async () => {
  const yaml = `services:
  web:
    image: web
    volumes:
      - {type: bind, source: ./data, target: /data, bind: {create_host_path: false}}
    secrets: [key]
secrets:
  key: {file: ./key.txt}
`;
  const findings = await check(yaml);
  expect(findings.map(({ rule }) => rule)).toEqual(['missing-source', 'missing-source']);
  expect(findings[1]?.remedy).toContain('secret');
});

const bindVolume = (device: string, more = 'driver: local, '): string =>
  `${web('data:/data')}volumes:\n  data: {${more}driver_opts: {type: none, o: bind, device: ${device}}}\n`;

test('a device that does not exist makes "up" fail, at the line of the device', async () => {
  const [finding, ...more] = await check(bindVolume('/nowhere/holdfast/pg'));
  expect(more).toEqual([]);
  expect(finding).toMatchObject({ rule: 'missing-device', severity: 'downtime' });
  expect(finding?.position?.line).toBe(7);
  expect(finding?.commands).toEqual([['holdfast', 'compose', 'prepare']]);
});

test('a relative device holds only for the driver "local" by name with "o: bind" alone', async () => {
  expect((await check(bindVolume('./pg'), { files: { 'pg/': '' } })).map(({ rule }) => rule)).toEqual([]);
  const without = await check(bindVolume('./pg', ''), { files: { 'pg/': '' } });
  expect(without.map(({ rule }) => rule)).toEqual(['relative-device']);
});

function withVolumes(...volumes: Partial<Volume>[]): ProjectFacts {
  return {
    ...noFacts,
    volumes: new Map(volumes.map((volume) => [volume.name ?? '', someVolume(volume.name ?? '', volume)])),
  };
}

const ofShop = { 'com.docker.compose.project': 'shop', 'com.docker.compose.volume': 'data' };
const declared = `${web('data:/data')}volumes:\n  data: {driver_opts: {type: nfs, device: ':/new', o: 'addr=nas,password=hunter2'}}\n`;

test('a volume whose options have changed would be made anew: loss, with the difference and no password', async () => {
  const options = { type: 'nfs', device: ':/old', o: 'addr=nas,password=other' };
  const facts = withVolumes({ name: 'shop_data', driver: 'local', options, labels: ofShop });
  const [finding, ...more] = await check(declared, { facts });
  expect(more).toEqual([]);
  expect(finding).toMatchObject({ rule: 'changed-volume', severity: 'loss' });
  expect(finding?.evidence).toContain('option "device" is ":/old", not ":/new"');
  expect(JSON.stringify(finding)).not.toMatch(/hunter2|other/);
});

test('options that are no longer in the file are a change, and none are none', async () => {
  const plain = `${web('data:/data')}volumes:\n  data:\n`;
  const tmpfs = { type: 'tmpfs', device: 'tmpfs' };
  const changed = withVolumes({ name: 'shop_data', driver: 'local', options: tmpfs, labels: ofShop });
  expect((await check(plain, { facts: changed })).map(({ rule }) => rule)).toEqual(['changed-volume']);
  const same = withVolumes({ name: 'shop_data', driver: 'local', options: {}, labels: ofShop });
  expect(await check(plain, { facts: same })).toEqual([]);
});

test('a volume whose plugin is gone, so that its labels and options are not known, is no other volume', async () => {
  const plugged = `${web('data:/data')}volumes:\n  data: {driver: rclone, driver_opts: {remote: 'nas:'}}\n`;
  const facts = withVolumes({ name: 'shop_data', driver: 'rclone' });
  expect(await check(plugged, { facts })).toEqual([]);
});

test('a volume of that name that another project made is told', async () => {
  const plain = `${web('data:/data')}volumes:\n  data:\n`;
  const labels = { 'com.docker.compose.project': 'blog' };
  const facts = withVolumes({ name: 'shop_data', driver: 'local', options: {}, labels });
  const [finding] = await check(plain, { facts });
  expect(finding).toMatchObject({ rule: 'foreign-volume', severity: 'hygiene' });
  expect(finding?.message).toContain('"blog"');
});

test('an external volume has to exist where an engine can say so, and must not name a driver', async () => {
  const yaml = `${web('data:/data')}volumes:\n  data: {external: true, name: kept}\n`;
  expect((await check(yaml, { facts: withVolumes() })).map(({ rule }) => rule)).toEqual([
    'missing-external-volume',
  ]);
  expect(await check(yaml, { facts: withVolumes({ name: 'kept' }) })).toEqual([]);
  expect(await check(yaml)).toEqual([]);
  const conflict = `${web('data:/data')}volumes:\n  data: {external: true, driver: local}\n`;
  expect((await check(conflict)).map(({ rule }) => rule)).toContain('external-conflict');
});

test('two things at one path are found, also where they are written differently, and what is lost by it', async () => {
  const yaml = `services:
  web:
    image: web
    volumes: ['one:/data', 'two:/data/']
    tmpfs: [/data/../data]
volumes: {one: , two: }
`;
  const findings = await check(yaml);
  expect(findings.map(({ rule }) => rule)).toEqual(['duplicate-target', 'duplicate-target', 'unused-volume']);
});

test('a mount inside of another is hygiene, and inside of a read-only one without its place it is downtime', async () => {
  const files = { 'src/': '', 'app/cache/': '', 'empty/': '' };
  const yaml = `${web('./src:/app', 'modules:/app/node_modules', './app:/ro:ro', 'cache:/ro/cache', './empty:/none:ro', 'deep:/none/x/y')}volumes: {modules: , cache: , deep: }\n`;
  const findings = await check(yaml, { files });
  expect(shown(findings)).toEqual([
    'mount-in-read-only 10:9',
    'mount-over-mount 6:9',
    'mount-over-mount 8:9',
  ]);
});

test.each([
  ['{driver_opts: {typ: nfs}}', 'invalid option: "typ"'],
  ['{driver_opts: {device: /x}}', 'missing required option: "type"'],
  ['{driver_opts: {type: nfs, o: addr=nas}}', 'missing required option: "device"'],
  ['{name: a/b}', 'includes invalid characters'],
])('a volume %s that the engine would refuse is found before "up"', async (volume, reason) => {
  const [finding, ...more] = await check(`${web('data:/data')}volumes:\n  data: ${volume}\n`);
  expect(more).toEqual([]);
  expect(finding).toMatchObject({ rule: 'refused-volume', message: expect.stringContaining(reason) });
  // Another driver has options and names of its own.
  const other = volume.replace('{', '{driver: other, ');
  expect(await check(`${web('data:/data')}volumes:\n  data: ${other}\n`)).toEqual([]);
});

test.each([
  ['{type: bind, source: /etc, target: /x, bind: {propagation: odd}}', 'invalid propagation mode: odd'],
  ['{type: volume, source: data, target: /x, volume: {subpath: ../out}}', 'subpath must be a relative path'],
  ['data:relative', 'mount path must be absolute'],
])('a mount %s that the engine would refuse is found before "up"', async (line, reason) => {
  const findings = await check(`${web(line, 'data:/data')}volumes: {data: }\n`);
  expect(findings).toContainEqual(
    expect.objectContaining({ rule: 'invalid-mount', message: expect.stringContaining(reason) }),
  );
});

test('a variable without a value is loss where data lies by it, and hygiene elsewhere', async () => {
  const yaml = `${web('"$DATA/db:/data"', 'data:/x')}    environment: {A: '$OTHER'}
volumes:
  data: {driver_opts: {type: none, o: bind, device: '/$ROOT'}}
`;
  const unset = (await check(yaml)).filter(({ message }) => message.includes('variable'));
  expect(unset.map(({ rule, severity, position }) => [rule, severity, position?.line])).toEqual([
    ['unset-variable', 'loss', 5],
    ['unset-variable', 'loss', 9],
    ['compose-warning', 'hygiene', 7],
  ]);
});

test('an unused volume and "version" are hygiene, and a volume of another profile is used', async () => {
  const yaml = `version: '3.8'
services:
  web: {image: web}
  tool: {image: tool, profiles: [tools], volumes: ['scratch:/x']}
volumes:
  left:
  scratch:
`;
  const findings = await check(yaml);
  expect(shown(findings)).toEqual(['obsolete-version 1:1', 'unused-volume 6:3']);
  expect(new Set(findings.map(({ severity }) => severity))).toEqual(new Set(['hygiene']));
});

test('a word after the second colon that Compose drops leaves the mount writable', async () => {
  const yaml = `${web('data:/data:readonly', 'data:/b:ro,z')}volumes: {data: }\n`;
  const [finding, ...more] = await check(yaml);
  expect(more).toEqual([]);
  expect(finding).toMatchObject({ rule: 'ignored-mode', severity: 'leak' });
  expect(finding?.message).toContain('"readonly"');
});

const storage = (value: string, external = true): string =>
  `${web('secret:/s')}volumes:\n  secret:\n${external ? '    external: true\n' : ''}    x-holdfast: {storage: ${value}}\n`;

test('a volume that is to be encrypted and that Compose makes itself would lie there unencrypted', async () => {
  const findings = await check(storage('{type: luks, size: 1g}', false));
  expect(findings.map(({ rule, severity }) => [rule, severity])).toEqual([['unencrypted-volume', 'leak']]);
  expect(await check(storage('{type: luks, size: 1g}'))).toEqual([]);
});

test('storage in x-holdfast may not have commands run, and has to be a mapping', async () => {
  const commands = await check(storage("{type: luks, key: 'exec:id > /tmp/x'}"));
  expect(commands.map(({ rule }) => rule)).toEqual(['invalid-settings']);
  expect(commands[0]?.message).toContain('"key"');
  expect((await check(storage('luks'))).map(({ rule }) => rule)).toEqual(['invalid-settings']);
});

test('a value of x-holdfast that cannot be read, and a policy that does not exist, are loss', async () => {
  const yaml = `x-holdfast: {policy: nightly}\n${web('data:/data')}    x-holdfast: {policy: [hourly, gone]}\nvolumes: {data: }\n`;
  const settings = {
    problems: [{ file: '/compose.yaml', line: 3, column: 4, message: 'keep.daily must be a number' }],
    namedPolicies: ['nightly', 'hourly', 'gone'],
    knownPolicies: ['nightly', 'hourly'],
  };
  const findings = await check(yaml, { settings });
  expect(findings.map(({ rule, severity, message }) => [rule, severity, /gone|daily/.test(message)])).toEqual(
    [
      ['invalid-settings', 'loss', true],
      ['unknown-policy', 'loss', true],
    ],
  );
  expect(findings[1]?.position?.line).toBe(7);
});

test('the worst comes first', async () => {
  const yaml = `version: '3'\n${web('./gone:/gone', 'data:/data:readonly')}volumes: {data: , left: }\n`;
  expect((await check(yaml)).map(({ severity }) => severity)).toEqual([
    'leak',
    'downtime',
    'hygiene',
    'hygiene',
  ]);
});

test('every rule has its row in the guide, with its severity', () => {
  const guide = readFileSync(join(import.meta.dirname, '../../../docs/guides/compose.md'), 'utf8');
  const rows = Object.entries(checkRules).map(
    ([rule, { id, severity }]) => `| ${id} | ${rule} | ${severity} | `,
  );
  expect(rows.filter((row) => !guide.includes(row))).toEqual([]);
});

test('every rule has an id of its own', () => {
  const ids = Object.values(checkRules).map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.every((id) => /^HF-C\d{3}$/.test(id))).toBe(true);
});
