import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Cli } from './cli.ts';

let cli: Cli;
beforeEach(async () => {
  cli = new Cli();
  await cli.init();
  await cli.volume('pg');
});
afterEach(() => cli[Symbol.dispose]());

const dayMs = 86_400_000;

/** Saves other data, with a clock that is off by so much, and returns the id. */
async function backUp(data: string, wrongByMs = 0): Promise<string> {
  writeFileSync(join(cli.root('pg'), 'data'), data);
  const script = `const now = Date.now.bind(Date); Date.now = () => now() + ${wrongByMs};`;
  const env =
    wrongByMs === 0 ? {} : { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}` };
  const { exit, stdout, stderr } = await cli.attempt(['backup', 'pg', '--format', 'json'], { env });
  expect({ exit, stderr: exit === 0 ? '' : stderr }).toEqual({ exit: 0, stderr: '' });
  const { outcomes } = JSON.parse(stdout) as { outcomes: { snapshotId: string }[] };
  return outcomes[0]?.snapshotId ?? '';
}

async function restored(what: string): Promise<string> {
  writeFileSync(join(cli.root('pg'), 'data'), 'newest');
  await cli.run('restore', what, '--yes', '--no-safety-snapshot');
  return readFileSync(join(cli.root('pg'), 'data'), 'utf8');
}

test('a snapshot from a clock that was ahead is named everywhere, and is never the newest nor goes by a rule', async () => {
  const before = await backUp('before');
  const wrong = await backUp('by the wrong clock', 400 * dayMs);
  expect(await restored('pg')).toBe('before');
  const [first, last] = [await backUp('first since'), await backUp('last since')];
  expect(await cli.ids('pg')).toEqual([before, wrong, first, last]);
  const listed = await cli.attempt(['snapshots', 'pg']);
  expect(listed.stdout).toMatch(new RegExp(`${wrong.slice(0, 8)} .* future`));
  expect(listed.stderr).toContain(`Of the snapshot ${wrong.slice(0, 8)}`);
  expect(await cli.run('restore', 'pg', '--dry-run')).toContain(`Left aside, because they lie in the future`);
  expect(await restored('pg')).toBe('last since');
  expect(await cli.run('dump', 'latest', '/data')).toBe('last since');
  expect(await restored(`pg@${wrong.slice(0, 10)}`)).toBe('by the wrong clock');
  const { stdout } = await cli.attempt(['coverage', '--format', 'json']);
  const { places } = JSON.parse(stdout) as {
    places: { name: string; reason: string; newest: { id: string; ageMs: number } }[];
  };
  const covered = places.find(({ name }) => name === 'pg');
  expect(covered?.newest.id).toBe(last);
  expect(covered?.newest.ageMs).toBeLessThan(dayMs);
  expect(covered?.reason).toContain(`in the future: ${wrong.slice(0, 8)}`);
  const rules = ['forget', 'pg', '--keep-last', '1', '--keep-verified', '0'];
  expect(await cli.run(...rules, '--dry-run')).toMatch(
    new RegExp(`stays +${wrong.slice(0, 8)} .*lies in the future`),
  );
  await cli.run(...rules, '--yes');
  expect(await cli.ids('pg')).toEqual([wrong, last]);
  await cli.run('forget', wrong, '--yes');
  expect(await cli.ids('pg')).toEqual([last]);
});

test('a slow clock changes neither the order nor what the rules keep', async () => {
  const before = [await backUp('a'), await backUp('b'), await backUp('c')];
  const behind = await backUp('behind', -2000 * dayMs);
  expect(await restored('pg')).toBe('behind');
  const since = await backUp('since');
  expect(await cli.ids('pg')).toEqual([...before, behind, since]);
  expect(await restored('pg')).toBe('since');
  await cli.run('forget', 'pg', '--keep-last', '2', '--keep-verified', '0', '--yes');
  expect(await cli.ids('pg')).toEqual([before[2], behind, since]);
});
