import { availableParallelism } from 'node:os';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { type Lane, lanes } from './scripts/lanes.ts';
import { MixedLanes } from './test/setup/mixed-lanes.ts';

/** Two more than there are processors: while some wait for an engine, a disk or a moment, the others work. */
const maxWorkers = Math.min(4, availableParallelism()) + 2;

export default defineConfig({
  test: {
    watch: false,
    passWithNoTests: true,
    sequence: { sequencer: MixedLanes },
    globalSetup: ['test/setup/bundled-command.ts'],
    projects: lanes.map(project),
  },
});

function project(lane: Lane): TestProjectInlineConfiguration {
  return {
    test: {
      name: lane.name,
      include: [...lane.include],
      pool: 'forks',
      isolate: lane.sharesWorkers !== true,
      setupFiles: ['test/setup/leaks.ts'],
      // The summary names what needed it.
      retry: lane.retries ?? 0,
      testTimeout: lane.timeoutMs,
      // What many tests need is made beside the guests of a kernel: an engine with images and databases takes minutes there.
      hookTimeout: 900_000,
      maxWorkers,
      // A condition that has not come by then will not come; vitest's own second is too short beside other files.
      expect: { poll: { timeout: 60_000 } },
    },
  };
}
