import type { AuditFlags } from '../commands/audit.ts';
import { defineCommand, listFlag, switchFlag, textFlag } from '../define-command.ts';

const audit = defineCommand<AuditFlags>({
  onlyReads: true,
  brief: 'Find what is set up so that it costs data one day',
  description:
    'Looks at a stack, a Compose file, or with --all at the whole host: joins the file, the containers that run, and what their images declare. Worst first: loss of data, leaks, downtime. Changes nothing, unless with --fix: that shows its plan and asks. Ends with 1 when a finding is as bad as --fail-on. Write "# holdfast ignore=HF-V001 REASON" beside a line that is as it should be.',
  usage: [
    '',
    'STACK',
    './compose.yaml',
    '--all',
    '--all --baseline audit.json',
    './compose.yaml --format sarif',
  ],
  forms: ['sarif'],
  flags: {
    all: switchFlag('The whole host'),
    allRules: switchFlag('Rules without a consequence for data too'),
    failOn: textFlag('loss, leak, downtime, hygiene, or never; loss unless given', 'SEVERITY'),
    ignore: listFlag('A file of suppressions, besides ".holdfast-audit.yaml" of each project', 'FILE'),
    baseline: textFlag('Only what is not in this file counts; it is written when it is not there', 'FILE'),
    updateBaseline: switchFlag('Write the baseline anew'),
    fix: switchFlag('Show what can be mended safely, ask, and mend it'),
  },
  args: [
    {
      placeholder: 'STACK|FILE',
      brief: 'A stack by its name, a Compose file or its folder; the current folder unless given',
      kind: 'optional',
      completes: 'path',
    },
  ],
  load: async () => (await import('../commands/audit.ts')).runAudit,
});

/** The command that says what will go wrong. */
export const auditRoutes = { audit };
