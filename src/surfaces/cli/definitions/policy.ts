import type { DaemonFlags } from '../commands/daemon.ts';
import type { PolicyNextFlags } from '../commands/policy.ts';
import type { PolicyRunFlags } from '../commands/policy-run.ts';
import { type ArgumentSpec, defineCommand, switchFlag, textFlag } from '../define-command.ts';
import { defineGroup } from '../define-group.ts';

const name: ArgumentSpec = {
  placeholder: 'NAME',
  brief: 'Name of a policy, as holdfast.yaml has it',
  completes: 'policy',
};

const ls = defineCommand({
  onlyReads: true,
  brief: 'List the policies, what they did last and do next',
  flags: {},
  args: [],
  load: async () => (await import('../commands/policy.ts')).runPolicyLs,
});

const show = defineCommand({
  onlyReads: true,
  brief: 'Show all that a policy says, and what it covers',
  flags: {},
  args: [name],
  load: async () => (await import('../commands/policy.ts')).runPolicyShow,
});

const run = defineCommand<PolicyRunFlags>({
  brief: 'Do what a policy says, now',
  description:
    'Backs up everything that the policy covers, to all of its repositories, and applies its rules to what it has saved before. What is scheduled stays scheduled. --dry-run shows what would be backed up, and which snapshots the rules would remove now.',
  flags: { dryRun: switchFlag('Show what would be done, and stop') },
  aliases: { n: 'dryRun' },
  args: [name],
  load: async () => (await import('../commands/policy-run.ts')).runPolicyRun,
});

const next = defineCommand<PolicyNextFlags>({
  onlyReads: true,
  brief: 'Show what comes next, and whether a daemon is there to do it',
  flags: { count: textFlag('So many; 20 unless given', 'N') },
  args: [],
  load: async () => (await import('../commands/policy.ts')).runPolicyNext,
});

const accept = defineCommand({
  recovers: [],
  brief: 'Say that a volume which looked damaged is as it should be',
  description:
    'A volume that shrank, grew or turned to noise since its last backup may be damaged: from then on nothing of it is forgotten, and its repository is not pruned. Once you have looked, this lets both go on. Without a name it lists what was noticed.',
  usage: ['', 'VOLUME'],
  flags: {},
  args: [{ placeholder: 'VOLUME', brief: 'Volume or directory', kind: 'optional', completes: 'target' }],
  load: async () => (await import('../commands/policy.ts')).runPolicyAccept,
});

const policy = defineGroup({
  routes: { ls, show, run, next, accept },
  aliases: { list: 'ls' },
  docs: { brief: 'See, run and forecast what holdfast.yaml says is kept safe' },
});

const coverage = defineCommand({
  onlyReads: true,
  brief: 'Show where all data is, and whether it is safe',
  description:
    'Every volume and every bind mount, tmpfs and other mount of every container: protected, unprotected, or a cache that can be lost, with the reason and the age of its newest good snapshot. Ends with 3 when something is unprotected.',
  flags: {},
  args: [],
  load: async () => (await import('../commands/coverage.ts')).runCoverage,
});

const daemon = defineCommand<DaemonFlags>({
  recovers: [],
  brief: 'Run the policies at their times',
  description:
    'Stays in the foreground and writes what it does to standard error. SIGTERM ends it after what is at work, SIGHUP has it read holdfast.yaml again. What was due while it did not run is made up for, once. One daemon runs for a state folder.',
  flags: {
    grace: textFlag(
      'How long what is at work may go on when the daemon is to end; 60s unless given',
      'DURATION',
    ),
    printUnit: switchFlag('Print a unit for systemd, and stop'),
    metrics: textFlag(
      'Serve metrics for Prometheus at an address and port, such as 127.0.0.1:9464',
      'ADDRESS:PORT',
    ),
    metricsForAll: switchFlag('Let --metrics be an address that other machines reach'),
  },
  args: [],
  stays: true,
  load: async () => (await import('../commands/daemon.ts')).runDaemon,
});

const configShow = defineCommand({
  recovers: [],
  onlyReads: true,
  brief: 'Show the settings that count, and where each comes from',
  flags: {},
  args: [],
  load: async () => (await import('../commands/config.ts')).runConfigShow,
});

const configCheck = defineCommand({
  recovers: [],
  onlyReads: true,
  brief: 'Say what is wrong in holdfast.yaml, with line and column',
  flags: {},
  args: [],
  load: async () => (await import('../commands/config.ts')).runConfigCheck,
});

const config = defineGroup({
  routes: { show: configShow, check: configCheck },
  docs: { brief: 'Look at the configuration' },
});

/** The commands for automatic work. */
export const policyRoutes = { policy, coverage, daemon, config };
