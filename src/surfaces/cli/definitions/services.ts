import type { ApiFlags } from '../commands/api.ts';
import type { PluginFlags } from '../commands/plugin.ts';
import type { RunFlags } from '../commands/run.ts';
import { defineCommand, listFlag, textFlag } from '../define-command.ts';

const group = textFlag('Group whose members may use the socket too', 'GROUP');

const plugin = defineCommand<PluginFlags>({
  recovers: [],
  brief: "Serve Holdfast's volumes to Docker and Podman, as a volume plugin",
  description:
    'Stays in the foreground. While it runs, "docker volume create -d holdfast" makes volumes on every driver that Holdfast has, and containers use them like any other. Ending it, or its end by force, touches no mount: containers go on, and the next start knows what they hold. Takes its socket from systemd where that opened one.',
  flags: {
    socket: textFlag('Where Docker finds it; /run/docker/plugins/holdfast.sock unless given', 'PATH'),
    group,
    shared: textFlag(
      'Serve what several hosts share, as "holdfast-global": the records lie in this folder',
      'FOLDER',
    ),
    stateFrom: textFlag(
      "In Docker's managed plugin: the host's folder that is shown at the state folder",
      'PATH',
    ),
  },
  args: [],
  stays: true,
  load: async () => (await import('../commands/plugin.ts')).runPlugin,
});

const api = defineCommand<ApiFlags>({
  recovers: [],
  brief: "Serve Docker's API for volumes, with or without an engine behind it",
  description:
    'Stays in the foreground. Without --upstream, the docker command and every other client of the Engine API can list, create, inspect, remove and prune the volumes that Holdfast keeps itself. With --upstream, everything is passed to that engine, and the volumes that are removed or pruned through this socket go to the trash first. A user of the socket can do what the engine can: it is for root unless --group says otherwise.',
  usage: ['--socket PATH', '--socket PATH --upstream unix:///var/run/docker.sock'],
  flags: {
    socket: textFlag('Where clients find it: DOCKER_HOST=unix://PATH', 'PATH'),
    upstream: textFlag('The engine that everything is passed to', 'unix://PATH'),
    group,
  },
  args: [],
  stays: true,
  load: async () => (await import('../commands/api.ts')).runApi,
});

const run = defineCommand<RunFlags>({
  recovers: ['own'],
  brief: 'Run a command with volumes in their places, without a container engine',
  description:
    'The command sees the files of this machine, read-only, with the volumes, directories and tmpfs mounted where you say, a /tmp and a /dev of its own, and no other process. It has this terminal, gets the signals, and its exit number is ours. Volumes are those that Holdfast keeps itself; one that does not exist is made. Needs bubblewrap.',
  usage: ['-v VOLUME:PATH [--tmpfs PATH] [--mount SPEC] -- COMMAND ...'],
  flags: {
    volume: listFlag('VOLUME:PATH[:ro,nocopy] or /HOST/PATH:PATH[:ro], as docker does', 'SPEC'),
    mount: listFlag(
      'type=volume,src=NAME,dst=PATH,readonly, as docker does; also bind and tmpfs, and volume-subpath=',
      'SPEC',
    ),
    tmpfs: listFlag('PATH[:size=100m,mode=1777,uid=,noexec], as docker does', 'SPEC'),
    env: listFlag('Variable for the command', 'NAME=VALUE'),
    workdir: textFlag('Where the command starts', 'PATH'),
  },
  aliases: { v: 'volume', e: 'env', w: 'workdir' },
  args: [{ placeholder: 'COMMAND', brief: 'The command and its arguments, after "--"', kind: 'many' }],
  stays: true,
  load: async () => (await import('../commands/run.ts')).runRun,
});

/** The commands that serve other programs. */
export const serviceRoutes = { plugin, api, run };
