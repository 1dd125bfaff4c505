import type { SetupFlags } from '../commands/setup.ts';
import { defineCommand, listFlag, switchFlag, textFlag } from '../define-command.ts';

const setup = defineCommand<SetupFlags>({
  brief: 'Set up backups that run by themselves, from nothing to the first one',
  description:
    'Finds the container engine, makes the repository and its key, writes a policy for all volumes and bind mounts to holdfast.yaml, installs and starts the daemon as a service, sends a test notification, runs the first backup, and says what is protected and what is not. Shows its plan first and asks. May be repeated, after a failure too: what is there already is never replaced or rewritten.',
  usage: [
    '',
    '--repo /mnt/backup/holdfast --yes',
    '--repo /mnt/backup/holdfast --notify ntfy:https://ntfy.sh/TOPIC',
  ],
  flags: {
    schedule: textFlag('When: a cron pattern or @hourly, @daily …; "30 3 * * *" unless given', 'CRON'),
    notify: listFlag('Who hears of failures, as ntfy:URL, healthchecks:URL, slack:URL …', 'TYPE:URL'),
    option: listFlag('Option of the store: see "holdfast repo add --help"', 'KEY=VALUE'),
    noService: switchFlag('Install no service'),
    dryRun: switchFlag('Show what would be done, and stop'),
  },
  aliases: { n: 'dryRun', o: 'option' },
  args: [],
  load: async () => (await import('../commands/setup.ts')).runSetup,
});

export const setupRoutes = { setup };
