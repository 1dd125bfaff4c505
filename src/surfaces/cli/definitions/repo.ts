import type { RepoAddFlags } from '../commands/repo.ts';
import { chunkerFromFlags } from '../chunker-from.ts';
import { type ArgumentSpec, defineCommand, listFlag, switchFlag } from '../define-command.ts';
import { defineGroup } from '../define-group.ts';

const name: ArgumentSpec = {
  placeholder: 'NAME',
  brief: 'Name of a repository, as "holdfast repo ls" shows it',
  completes: 'repository',
};

const add = defineCommand<RepoAddFlags>({
  recovers: [],
  brief: 'Make a repository or take one over, and remember it by a name',
  description: `A key is made for a new repository unless a password is given; one that is there is taken over when the password opens it. To change its options, add it again under the same name.

LOCATION is one of
  /DIRECTORY                       or a relative one
  s3:https://HOST/BUCKET/PREFIX    or s3:BUCKET/PREFIX, on Amazon
  sftp:USER@HOST:/PATH             or sftp://USER@HOST:PORT//PATH
  rest:https://HOST:PORT/PATH/     restic's REST server
  rclone:REMOTE:PATH               whatever rclone knows

Options of all: limit-upload, limit-download; of remote ones: connections, retry-for, cache-size.
s3: region, path-style, storage-class, object-lock, part-size, profile, access-key-id, secret-access-key, session-token, ca-file, client-certificate-file.
rest: username, password, ca-file, client-certificate-file.
sftp: ssh-config, identity-file. rclone: program, config-file.
Secrets are references: secret-access-key=file:/etc/key, =env:NAME or =exec:COMMAND. Without them, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD count, and for SFTP your own ssh.`,
  usage: ['NAME LOCATION', 'offsite s3:https://HOST/BUCKET -o region=eu-west-1 -o limit-upload=2MiB'],
  flags: {
    option: listFlag('Option of the store, such as region=eu-west-1', 'KEY=VALUE'),
    default: switchFlag('Commands that name no repository take this one'),
    ...chunkerFromFlags,
  },
  aliases: { o: 'option' },
  args: [
    { placeholder: 'NAME', brief: 'Letters, digits, "-" and "_"' },
    { placeholder: 'LOCATION', brief: 'Where it lies', completes: 'path' },
  ],
  load: async () => (await import('../commands/repo.ts')).runRepoAdd,
});

const ls = defineCommand({
  recovers: [],
  onlyReads: true,
  brief: 'List the repositories that are known',
  flags: {},
  args: [],
  load: async () => (await import('../commands/repo.ts')).runRepoLs,
});

const rm = defineCommand({
  recovers: [],
  brief: 'Forget a repository; what it holds, and its key, stay',
  flags: {},
  args: [name],
  load: async () => (await import('../commands/repo.ts')).runRepoRm,
});

const setDefault = defineCommand({
  recovers: [],
  brief: 'Say which repository commands take that name none',
  flags: {},
  args: [name],
  load: async () => (await import('../commands/repo.ts')).runRepoDefault,
});

const check = defineCommand({
  recovers: [],
  onlyReads: true,
  brief: 'Reach each repository, and see that it is the right one and opens',
  description:
    'Opens the repositories with their passwords and lists their snapshots. To prove that what they hold is whole, use "holdfast check".',
  flags: {},
  args: [{ ...name, kind: 'any' }],
  load: async () => (await import('../commands/repo.ts')).runRepoCheck,
});

const repo = defineGroup({
  routes: { add, ls, rm, default: setDefault, check },
  aliases: { list: 'ls', remove: 'rm' },
  docs: { brief: 'Add, list and forget repositories, and choose the default one' },
});

/** The commands for known repositories. */
export const repoRoutes = { repo };
