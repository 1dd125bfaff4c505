import { join } from 'node:path';

const checkout = join(import.meta.dirname, '../../..');

/** The socket of the engine that systemd starts in a guest: not the default one. */
export const engineAddress = 'unix:///run/guest-engine.sock';

/** The command that runs the tests of one stage inside the guest, with its folder and variables. */
export function testCommand(node: string, stage: string) {
  return {
    command: [
      node,
      join(checkout, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--no-color',
      '--config=test/kernel/guest/vitest.config.ts',
      `test/kernel/guest/${stage}/`,
    ],
    cwd: checkout,
    env: {
      PATH: process.env['PATH'],
      HOME: '/root',
      HOLDFAST_TEST_COMMAND: process.env['HOLDFAST_TEST_COMMAND'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      LANG: 'C.UTF-8',
      TMPDIR: '/disk/tmp',
      HOLDFAST_GUEST_REPORT: `/exchange/${stage}.jsonl`,
      // The console is no terminal for progress lines.
      CI: 'true',
    },
  };
}
