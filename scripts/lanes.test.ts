import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { laneOfProject, lanes, projectsOf } from './lanes.ts';

const root = dirname(import.meta.dirname);
const alone = lanes.flatMap((lane) => lane.alone ?? []);

test('each test that offers volumes to all engines of the machine runs alone', () => {
  const offering = globSync('test/{engine,attacks,stacks,podman}/**/*.test.ts', { cwd: root }).filter(
    (path) => isOffering(readFileSync(join(root, path), 'utf8')),
  );
  expect(offering.length).toBeGreaterThan(0);
  expect(alone).toEqual(expect.arrayContaining(offering));
  expect(alone.filter((pattern) => globSync(pattern, { cwd: root }).length === 0)).toEqual([]);
});

/** True for a test with a plugin of its own whose socket is where all engines look. */
function isOffering(text: string): boolean {
  if (/'\/run\/docker\/plugins/.test(text)) return true;
  const uses = text.split('new PluginService(').slice(1);
  return uses.some((use) => !/\bsocketFolder\b/.test(use.split(';', 1)[0] ?? ''));
}

test('one plugin at another place excuses no other plugin of the same file', () => {
  const other = "one = new PluginService(join(folder, 'one'), { socketFolder: folder });";
  expect(isOffering(other)).toBe(false);
  expect(isOffering(`${other}\ntwo = new PluginService(\n  join(folder, 'two'),\n);`)).toBe(true);
});

test('the project of what runs alone belongs to its lane', () => {
  for (const lane of lanes) {
    const { main, alone: other } = projectsOf(lane);
    expect([main, other ?? main].map(laneOfProject)).toEqual([lane.name, lane.name]);
  }
});
