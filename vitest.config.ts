import { availableParallelism } from 'node:os';
import { configDefaults, defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { type Lane, lanes, projectsOf } from './scripts/lanes.ts';
import { MixedLanes } from './test/setup/mixed-lanes.ts';

const processors = Math.min(4, availableParallelism());

/** Groups run one after the other; the files of a group run side by side. */
const groups = {
  busy: { groupOrder: 0, maxWorkers: processors },
  // One more than there are processors: while one waits for an engine or a disk, the others work.
  mixed: { groupOrder: 1, maxWorkers: processors + 1 },
  alone: { groupOrder: 2, maxWorkers: 1 },
} as const;

export default defineConfig({
  test: {
    watch: false,
    passWithNoTests: true,
    sequence: { sequencer: MixedLanes },
    globalSetup: ['test/setup/bundled-command.ts'],
    projects: lanes.flatMap((lane) => {
      const { main, alone } = projectsOf(lane);
      const usual = project(lane, {
        name: main,
        include: lane.include,
        exclude: lane.alone ?? [],
        group: lane.name === 'unit' ? 'busy' : 'mixed',
      });
      if (alone === undefined) return [usual];
      return [usual, project(lane, { name: alone, include: lane.alone ?? [], exclude: [], group: 'alone' })];
    }),
  },
});

interface ProjectFiles {
  readonly name: string;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly group: keyof typeof groups;
}

function project(
  lane: Lane,
  { name, include, exclude, group }: ProjectFiles,
): TestProjectInlineConfiguration {
  const { groupOrder, maxWorkers } = groups[group];
  return {
    test: {
      name,
      include: [...include],
      exclude: [...configDefaults.exclude, ...exclude],
      pool: 'forks',
      setupFiles: ['test/setup/leaks.ts'],
      // The summary names what needed it.
      retry: lane.retries ?? 0,
      testTimeout: lane.timeoutMs,
      hookTimeout: lane.timeoutMs,
      maxWorkers,
      sequence: { groupOrder },
    },
  };
}
