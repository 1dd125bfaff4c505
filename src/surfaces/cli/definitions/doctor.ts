import type { DoctorFlags } from '../commands/doctor.ts';
import { defineCommand, switchFlag } from '../define-command.ts';

const doctor = defineCommand<DoctorFlags>({
  onlyReads: true,
  recovers: ['host', 'own'],
  brief: 'Find out why an application cannot read its data, or why it is slow',
  description:
    'Looks at a volume, at all mounts of a container, or at what lies at a path; without a name at everything. Each finding says what was seen, what it means, and the commands that mend it. Changes nothing, unless with --fix: that shows what it would change and asks. Ends with 0 when all is healthy, and with 1 when a fault was found; a hint is none.',
  usage: ['', 'VOLUME', 'CONTAINER', '/PATH', '--fix'],
  flags: {
    fix: switchFlag('Show what can be mended, ask, and mend it'),
  },
  args: [
    {
      placeholder: 'VOLUME|CONTAINER|PATH',
      brief: 'What does not work; without it all is looked at',
      kind: 'optional',
      completes: 'target',
    },
  ],
  load: async () => (await import('../commands/doctor.ts')).runDoctor,
});

/** The command that says what is wrong now. */
export const doctorRoutes = { doctor };
