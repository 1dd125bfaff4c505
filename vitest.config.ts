import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { lanes } from './scripts/lanes.ts';

export default defineConfig({
  test: {
    watch: false,
    passWithNoTests: true,
    projects: lanes.map((lane, order) => ({
      test: {
        name: lane.name,
        include: [...lane.include],
        pool: 'forks',
        setupFiles: ['test/setup/leaks.ts'],
        // The summary names what needed it.
        retry: lane.retries ?? 0,
        testTimeout: lane.timeoutMs,
        hookTimeout: lane.timeoutMs,
        fileParallelism: lane.parallel,
        maxWorkers: lane.parallel ? Math.min(4, availableParallelism()) : 1,
        // Lanes run one after the other: each may use the whole machine.
        sequence: { groupOrder: order },
      },
    })),
  },
});
