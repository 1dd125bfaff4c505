import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { laneOfProject, lanes, projectsOf } from './lanes.ts';

const root = dirname(import.meta.dirname);
const alone = lanes.flatMap((lane) => lane.alone ?? []);

test('each test that offers volumes to all engines of the machine runs alone', () => {
  const offering = globSync('test/{engine,attacks,stacks,podman}/**/*.test.ts', { cwd: root }).filter(
    (path) => {
      const text = readFileSync(join(root, path), 'utf8');
      const isAtOtherPlace = text.includes('socketFolder:');
      return /'\/run\/docker\/plugins/.test(text) || (text.includes('new PluginService(') && !isAtOtherPlace);
    },
  );
  expect(offering.length).toBeGreaterThan(0);
  expect(alone).toEqual(expect.arrayContaining(offering));
  expect(alone.filter((pattern) => globSync(pattern, { cwd: root }).length === 0)).toEqual([]);
});

test('the project of what runs alone belongs to its lane', () => {
  for (const lane of lanes) {
    const { main, alone: other } = projectsOf(lane);
    expect([main, other ?? main].map(laneOfProject)).toEqual([lane.name, lane.name]);
  }
});
