import type { ComposeCheckFlags, ComposeExplainFlags } from '../commands/compose.ts';
import type { ComposePrepareFlags } from '../commands/compose-prepare.ts';
import type { ComposeFlags } from '../compose-request.ts';
import { type ArgumentSpec, defineCommand, listFlag, switchFlag, textFlag } from '../define-command.ts';
import { defineGroup } from '../define-group.ts';

/** As `docker compose` has them. */
const composeFlags = {
  file: listFlag('Compose file; later ones are merged into earlier ones', 'FILE'),
  projectDirectory: textFlag('Folder that relative paths are resolved against', 'DIR'),
  projectName: textFlag('Name of the project', 'NAME'),
  profile: listFlag('Profile whose services are started too', 'PROFILE'),
  envFile: listFlag('File with variables, instead of .env', 'FILE'),
} as const;

const file: ArgumentSpec = {
  placeholder: 'FILE',
  brief: 'A Compose file as with --file, or a folder; looked for here and above unless given',
  kind: 'any',
  completes: 'path',
};

const aliases = { f: 'file', p: 'projectName' } as const;

const check = defineCommand<ComposeCheckFlags>({
  onlyReads: true,
  brief: 'Say what is wrong with a Compose file on this machine',
  description:
    'Finds what Compose refuses, and what "docker compose up" would do that hurts: folders that it makes for root, files that it makes as folders, volumes that it makes anew, mounts over each other. Each finding has its file, line and column, what it means and what to do. Works without an engine, and says what it could not look at. Ends with 0 when nothing is found that costs data, secrets or time, and with 1 otherwise; --strict counts hygiene too.',
  usage: ['', 'FILE...', 'FOLDER', '--strict'],
  flags: { ...composeFlags, strict: switchFlag('Findings of hygiene count as well') },
  aliases,
  args: [file],
  load: async () => (await import('../commands/compose.ts')).runComposeCheck,
});

const prepare = defineCommand<ComposePrepareFlags>({
  brief: 'Make what a Compose file needs before "up": folders and volumes',
  description:
    'Makes the missing folders of bind mounts and of volumes that bind one, with the owner that the service wants, and the missing external volumes; one whose "x-holdfast" has "storage" is made by the driver of Holdfast, encrypted for example. Shows its plan and asks. Never changes what exists; files that are missing are named and not made, and it ends with 3 then. Can be repeated.',
  usage: ['', 'FILE...', 'FOLDER', '--dry-run'],
  flags: { ...composeFlags, dryRun: switchFlag('Show the plan only') },
  aliases,
  args: [file],
  load: async () => (await import('../commands/compose-prepare.ts')).runComposePrepare,
});

const graph = defineCommand<ComposeFlags>({
  onlyReads: true,
  forms: ['mermaid', 'svg'],
  brief: 'Draw where the data of a Compose file lies: host, volumes, containers',
  description:
    'Draws on the terminal; with --format mermaid for Markdown, with --format svg as an image, with --format json as data. Folders that are not there are marked. With an engine that has the images, the anonymous volumes are drawn that their VOLUME lines make.',
  usage: ['', 'FILE...', 'FOLDER', '--format mermaid', '--format svg > stack.svg'],
  flags: composeFlags,
  aliases,
  args: [file],
  load: async () => (await import('../commands/compose.ts')).runComposeGraph,
});

const explain = defineCommand<ComposeExplainFlags>({
  onlyReads: true,
  brief: 'Explain each mount of a Compose file in one sentence',
  description:
    'What it is, where the data lies, which services may write to it, whether it survives "down" and "down -v", and whether a policy covers it, where that is known. In English or French, by LC_ALL, LC_MESSAGES and LANG.',
  usage: ['', 'FILE...', 'FOLDER', '--lang fr'],
  flags: { ...composeFlags, lang: textFlag('en or fr', 'LANG') },
  aliases,
  args: [file],
  load: async () => (await import('../commands/compose.ts')).runComposeExplain,
});

export const composeRoutes = defineGroup({
  routes: { check, prepare, graph, explain },
  docs: { brief: 'Look at Compose files, and prepare a machine for them' },
});
