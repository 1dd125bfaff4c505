import { expect, test } from 'vitest';
import { describePlan } from './describe-setup.ts';
import type { SetupFacts } from './setup-plan.ts';

test('the plan names the bind mounts that will be saved, and does not list hundreds', () => {
  const facts = {
    host: { kind: 'docker', endpoint: 'unix:///var/run/docker.sock', version: '26.1' },
    volumes: 2,
  };
  const first = (bindMounts: readonly string[]): string | undefined =>
    describePlan({ ...facts, bindMounts } as unknown as SetupFacts, {
      steps: [],
      stays: [],
      warnings: [],
    }).split('\n')[0];
  expect(first(['/mnt/films', '/srv/site'])).toMatch(
    /2 volumes and 2 bind mounts: \/mnt\/films, \/srv\/site\.$/,
  );
  expect(first([])).toMatch(/2 volumes and 0 bind mounts\.$/);
  expect(first(Array.from({ length: 200 }, (_, index) => `/srv/${index}`))).toMatch(
    /\/srv\/9 and 190 more\.$/,
  );
});
