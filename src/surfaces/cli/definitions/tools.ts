import type { CompleteFlags } from '../commands/completion.ts';
import { defineCommand, switchFlag } from '../define-command.ts';

const completion = defineCommand({
  recovers: [],
  brief: 'Print a completion script for bash, zsh or fish',
  description:
    'bash: holdfast completion bash > /etc/bash_completion.d/holdfast\nzsh:  holdfast completion zsh > "${fpath[1]}/_holdfast"\nfish: holdfast completion fish > ~/.config/fish/completions/holdfast.fish',
  flags: {},
  args: [{ placeholder: 'SHELL', brief: 'bash, zsh or fish' }],
  load: async () => (await import('../commands/completion.ts')).runCompletion,
});

const complete = defineCommand<CompleteFlags>({
  recovers: [],
  onlyReads: true,
  brief: 'Print what could stand where the cursor is',
  flags: { describe: switchFlag('With a description after a tab') },
  args: [{ placeholder: 'WORD', brief: 'The words so far, the unfinished one last', kind: 'any' }],
  load: async () => (await import('../commands/completion.ts')).runComplete,
});

/** Commands for the command itself. */
export const toolRoutes = { completion, __complete: complete };
