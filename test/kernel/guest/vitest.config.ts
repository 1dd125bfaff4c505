import { defineConfig } from 'vitest/config';
import { LineReporter } from './line-reporter.ts';

/** For the vitest that runs inside the guest; the host's shows its results as tests of its own. */
export default defineConfig({
  test: {
    watch: false,
    reporters: ['verbose', new LineReporter()],
    include: ['test/kernel/guest/**/*.guest.ts'],
    pool: 'forks',
    setupFiles: ['test/setup/leaks.ts'],
    // Of the host: the next guest with this disk finds the modules transformed, which takes long inside.
    fsModuleCachePath: '/exchange/modules',
    testTimeout: 600_000,
    hookTimeout: 600_000,
    fileParallelism: false,
    maxWorkers: 1,
    // The kernel runs as a program beside the other tests, some times slower than the machine.
    expect: { poll: { timeout: 200_000 } },
  },
});
