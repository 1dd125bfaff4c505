import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { prepareRoot } from './prepare-root.ts';
import { testCommand } from './test-command.ts';

/**
 * The first program of a guest: it runs the tests of one stage, and switches the guest off.
 *
 * node init.ts NODE EXCHANGE STAGE
 */
// Node.js is named, as it takes itself for linux.uml: what it saw as /proc when it started was the host's.
const [node = '', exchange = '', stage = ''] = process.argv.slice(2);

try {
  prepareRoot(exchange);
  const { command, ...where } = testCommand(node, stage);
  // Reaps orphaned processes: an engine would otherwise wait for its dead containerd.
  spawnSync('docker-init', ['-s', '--', ...command], { ...where, stdio: 'inherit' });
} catch (error) {
  console.error(error);
}
// Nothing is unmounted, closed or synced: for the disk, each end of a guest is a power cut.
writeFileSync('/proc/sysrq-trigger', 'o');
