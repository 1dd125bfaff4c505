import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cli, type CliResult } from './cli.ts';

let cli: Cli;
let folder: string;
beforeAll(() => {
  cli = new Cli();
  folder = join(cli.folder, 'shop');
  mkdirSync(folder);
  writeFileSync(
    join(folder, 'compose.yaml'),
    "services:\n  db:\n    image: postgres:18\n    environment: { POSTGRES_PASSWORD: hunter2 }\n    volumes: ['pg:/var/lib/postgresql/data']\nvolumes: { pg: }\n",
  );
});
afterAll(() => cli[Symbol.dispose]());

/** Without an engine. */
async function audit(...args: string[]): Promise<CliResult> {
  const env = { HOLDFAST_HOST: 'docker', DOCKER_HOST: `unix://${cli.folder}/none.sock` };
  return await cli.attempt(['audit', ...args], { cwd: folder, env });
}

test('audit tells people the worst first, with the place, and ends with 1', async () => {
  const { exit, stdout, stderr } = await audit();
  expect(exit).toBe(1);
  expect(stdout.match(/^HF-\S+/gm)).toEqual(['HF-V001', 'HF-S006']);
  expect(stdout).toContain('HF-V001 shadowed-data (loss)  service "db"  compose.yaml:5:15\n');
  expect(stdout).toContain('\n  See docs/guides/audit.md#hf-v001-shadowed-data\n');
  expect(stdout).toContain('Looked at 1 file, 0 containers, 1 volume: 2 findings.');
  expect(stdout + stderr).not.toContain('hunter2');
  expect(stderr).toContain('Only the file was looked at: ');
});

test.each([
  [['--fail-on', 'never'], 0],
  [['--fail-on', 'loss'], 1],
  [['--fail-on', 'hygiene'], 1],
  [['--fail-on', 'worst'], 2],
  [['--all', 'shop'], 2],
  [['--update-baseline'], 2],
  [['--ignore', 'missing.yaml'], 4],
  [['./missing.yaml'], 4],
])('audit %j ends with %i', async (args, exit) => {
  expect((await audit(...args)).exit).toBe(exit);
});

test('audit of a folder that is taken for a stack says how to name it where no engine answers', async () => {
  mkdirSync(join(folder, 'deploy'));
  const { exit, stderr } = await audit('deploy');
  expect([exit, stderr]).toEqual([1, expect.stringContaining('To audit the folder, write "./deploy".')]);
});

test('audit of a file that Compose refuses in part looks at the rest, and ends with 3', async () => {
  const half = join(cli.folder, 'half');
  mkdirSync(half);
  writeFileSync(join(half, 'compose.yaml'), 'services: { a: { image: x }, b: { image: x, restart: [1] } }\n');
  const { exit, stdout, stderr } = await audit(half);
  expect([exit, stdout]).toEqual([3, expect.stringContaining('Nothing to mend in what was looked at')]);
  expect(stderr).toContain('Compose refuses');
  const sarif = JSON.parse((await audit(half, '--format', 'sarif')).stdout) as object;
  expect(sarif).toMatchObject({ runs: [{ invocations: [{ executionSuccessful: false }] }] });
});

test('audit prints one document as JSON and one as SARIF, and names alone when quiet', async () => {
  const json = JSON.parse((await audit('--format', 'json')).stdout) as object;
  expect(json).toMatchObject({
    counts: { loss: 1, leak: 1, downtime: 0, hygiene: 0 },
    findings: [{ id: 'HF-V001', severity: 'loss', position: { line: 5 } }, { id: 'HF-S006' }],
    known: [],
    suppressed: [],
    looked: { containers: 0 },
  });
  const sarif = JSON.parse((await audit('./compose.yaml', '--format', 'sarif')).stdout) as object;
  expect(sarif).toMatchObject({
    version: '2.1.0',
    runs: [{ results: [{ ruleId: 'HF-V001' }, { ruleId: 'HF-S006' }] }],
  });
  expect((await audit('--quiet')).stdout).toBe('HF-V001 db\nHF-S006 db\n');
});

test('a first audit with a baseline is good, and a later one counts what is new', async () => {
  const baseline = ['--baseline', 'audit.json'];
  const first = await audit(...baseline);
  expect([first.exit, first.stdout]).toEqual([
    0,
    expect.stringContaining('The baseline "audit.json" was written.'),
  ]);
  expect(first.stdout).toContain('Nothing new in what was looked at');
  expect((await audit(...baseline)).stdout).toContain('0 findings, 2 in the baseline.');
});

test('audit tells many findings of one rule as one, with a line for each place; other forms keep them apart', async () => {
  const many = join(cli.folder, 'many');
  mkdirSync(many);
  const of = (name: string): string => `  ${name}: { image: x, volumes: ['/run/docker.sock:/s'] }\n`;
  const suppressed = `  odd: { image: x, volumes: ['/run/docker.sock:/s'] } # holdfast ignore=HF-S001 meant\n`;
  writeFileSync(
    join(many, 'compose.yaml'),
    `services:\n${['a', 'b', 'c', 'd'].map(of).join('')}${suppressed}`,
  );
  const { stdout } = await audit(many);
  expect(stdout).toMatch(/^HF-S001 engine-socket \(leak\) {2}4 services\n/);
  expect(stdout.match(/^ {4}- .*compose\.yaml:\d+:\d+: "\w" has the engine’s socket\.$/gm)).toHaveLength(4);
  expect(stdout).toContain('4 findings, 1 suppressed.');
  const { findings } = JSON.parse((await audit(many, '--format', 'json')).stdout) as {
    readonly findings: readonly {
      readonly fingerprint: string;
      readonly subject: { readonly name: string };
    }[];
  };
  expect(findings.map(({ subject }) => subject.name)).toEqual(['a', 'b', 'c', 'd']);
  // A baseline keeps each, so that one more counts alone.
  const baseline = join(many, 'audit.json');
  await audit(many, '--baseline', baseline);
  writeFileSync(join(many, 'compose.yaml'), `services:\n${['a', 'b', 'c', 'd', 'e'].map(of).join('')}`);
  expect((await audit(many, '--baseline', baseline, '--quiet')).stdout).toBe('HF-S001 e\n');
});
