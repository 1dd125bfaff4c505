import { availableParallelism } from 'node:os';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { type Lane, lanes } from './scripts/lanes.ts';
import { MixedLanes } from './test/setup/mixed-lanes.ts';

const processors = Math.min(4, availableParallelism());

/** Groups run one after the other; the files of a group run side by side. */
const groups = {
  busy: { groupOrder: 0, maxWorkers: processors },
  // One more than there are processors: while one waits for an engine or a disk, the others work.
  mixed: { groupOrder: 1, maxWorkers: processors + 1 },
} as const;

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
  const { groupOrder, maxWorkers } = lane.name === 'unit' ? groups.busy : groups.mixed;
  return {
    test: {
      name: lane.name,
      include: [...lane.include],
      pool: 'forks',
      setupFiles: ['test/setup/leaks.ts'],
      // The summary names what needed it.
      retry: lane.retries ?? 0,
      testTimeout: lane.timeoutMs,
      hookTimeout: lane.timeoutMs,
      maxWorkers,
      // A condition that has not come by then will not come; vitest's own second is too short beside other files.
      expect: { poll: { timeout: 30_000 } },
      sequence: { groupOrder },
    },
  };
}
