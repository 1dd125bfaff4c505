import type { Mount, TmpfsMount } from '../model/mount.ts';
import type { Position } from '../model/finding.ts';
import type { Section } from './compose-fields.ts';
import type { ComposeVolume } from './compose-volume.ts';

/**
 * What is named to be read, as the arguments of `docker compose`: files or a folder, and what changes their
 * meaning. Variables of `env` come before those of `.env`, as in Compose.
 */
export interface ComposeRequest {
  /** `-f`, in this order. Empty: `COMPOSE_FILE`, and then the default names, in `directory` or above it. */
  readonly files?: readonly string[] | undefined;
  /** Where the search begins and relative `files` are; the current folder of the process by default. */
  readonly directory?: string | undefined;
  /** `--project-directory`; that of the first file by default. */
  readonly projectDirectory?: string | undefined;
  /** `--env-file`; `.env` in the project's folder by default. */
  readonly envFiles?: readonly string[] | undefined;
  /** The variables of the process: never read by the loader itself. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `-p`. */
  readonly projectName?: string | undefined;
  /** False: variables stay as they are written (`--no-interpolate`), and no `.env` is looked for. */
  readonly interpolate?: boolean | undefined;
  /** `--profile`; those of `COMPOSE_PROFILES` when there are none. `*` means all. */
  readonly profiles?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Keys and indexes from the top of the merged project to a value: `['services', 'db', 'volumes', 0, 'source']`.
 * They are those of the long syntax, whatever the file has: `['services', 'db', 'environment', 'TZ']` is a
 * variable that was written as `- TZ=UTC`, and `['services', 'web', 'depends_on', 'db']` one line of a list.
 */
export type ComposePath = readonly (string | number)[];

/** A comment of a Compose file, without `#` and the blanks around it. */
export interface ComposeComment {
  readonly text: string;
  readonly position: Position;
}

/** What Compose would say of a project that can be read. */
export interface ComposeProblem {
  /** `error`: `docker compose config` and `up` refuse the project. `warning`: they say it and go on. */
  readonly kind: 'error' | 'warning';
  /** In Compose's words where it has some. May hold text of the file: print it by `printableField`. */
  readonly message: string;
  readonly path: ComposePath;
  readonly position: Position;
}

/**
 * A project as `docker compose up` would see it: all files read, variables filled in, merged, extended,
 * included. It is plain data and never changes. All texts come from files of others: a surface prints them by
 * `quote` or `printableField`.
 *
 * A value that Compose refuses is left out and stands in `problems`, so that one mistake does not hide
 * everything else; where `problems` has no `error`, the project is what `docker compose config` prints.
 */
export interface ComposeProject {
  /** By `-p`, `COMPOSE_PROJECT_NAME`, `name:`, or of the folder. */
  readonly name: string;
  /** Absolute; relative paths of the files are resolved against it. */
  readonly directory: string;
  /** The Compose files named by the caller or found, absolute, in the order in which they are merged. */
  readonly files: readonly string[];
  /** All files that were read: Compose files with those of `extends` and `include`, `.env` and `env_file`. */
  readonly filesRead: readonly string[];
  /** Those that `up` starts with the profiles asked for, in the order of their names. */
  readonly services: ReadonlyMap<string, ComposeService>;
  /** Those that no active profile has. */
  readonly inactiveServices: ReadonlyMap<string, ComposeService>;
  /** All that are declared, by their keys, used or not. */
  readonly volumes: ReadonlyMap<string, ComposeVolume>;
  readonly configs: ReadonlyMap<string, ComposeResource>;
  readonly secrets: ReadonlyMap<string, ComposeResource>;
  /** `x-*` at the top, whole. */
  readonly extensions: Section;
  /**
   * The whole merged project, for fields that have none of their own here. What this contract has fields for
   * is in the long syntax; `ports`, `command`, `ulimits` and the like are as written.
   */
  readonly raw: Section;
  readonly problems: readonly ComposeProblem[];

  /**
   * Where the value at `path` was written: of several files that give it, the one that wins; of a mapping or
   * list that several add to, the first. For a key of a mapping it is the place of the key, for an entry of a
   * list that of the entry; with `value`, always that of the value itself. A path that is deeper than
   * what was written (`target` of `- data:/data`), or that nothing gives, has the place of the nearest value
   * around it; the start of the first file at last. So there is always an answer.
   *
   * It survives merging, `extends`, `include`, anchors (the place of the anchored value, except for the key
   * itself) and `<<`. A variable from an `env_file` has its line there.
   */
  positionOf(path: ComposePath, part?: 'key' | 'value'): Position;

  /**
   * The comments that belong to the value at `path`, which must be there itself: the one at the end of its
   * line, and the lines directly above it that hold a comment alone. From above to below.
   */
  commentsOf(path: ComposePath): readonly ComposeComment[];
}

/** A service. What a file does not say is undefined or empty; defaults of an image are not known here. */
export interface ComposeService {
  readonly name: string;
  /** `['services', name]`. */
  readonly path: ComposePath;
  readonly image: string | undefined;
  readonly build: ComposeBuild | undefined;
  readonly containerName: string | undefined;
  /** As written: a name or number, with or without a group. */
  readonly user: string | undefined;
  /** With those of `env_file`. Undefined for one that the caller's environment should give and does not. */
  readonly environment: ReadonlyMap<string, string | undefined>;
  /** Undefined: the image's. Empty: none, whatever the image says. */
  readonly command: readonly string[] | undefined;
  readonly entrypoint: readonly string[] | undefined;
  /** `volumes`, one for each target, in the order of the file. */
  readonly mounts: readonly ComposeServiceMount[];
  readonly tmpfs: readonly ComposeServiceTmpfs[];
  readonly volumesFrom: readonly ComposeVolumesFrom[];
  readonly dependsOn: ReadonlyMap<string, ComposeDependency>;
  /** `host`, `none`, `service:NAME`, `container:NAME`. */
  readonly networkMode: string | undefined;
  readonly pid: string | undefined;
  readonly ipc: string | undefined;
  readonly usernsMode: string | undefined;
  readonly privileged: boolean;
  readonly readOnly: boolean;
  readonly securityOpt: readonly string[];
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  /** `source:target:permissions` each. */
  readonly devices: readonly string[];
  readonly restart: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly configs: readonly ComposeGrant[];
  readonly secrets: readonly ComposeGrant[];
  readonly profiles: readonly string[];
  readonly healthcheck: ComposeHealthcheck | undefined;
  readonly extensions: Section;
  /** The whole service, as in the project's `raw`. */
  readonly raw: Section;
}

export interface ComposeServiceMount {
  /**
   * A bind's source is absolute, with `~` expanded; a volume's is the key in the project's `volumes`, of which
   * the name at the engine is `project.volumes.get(source).name`.
   */
  readonly mount: Mount;
  /** The entry with its variables filled in: a text in the short syntax, a mapping in the long one. */
  readonly raw: unknown;
  /** `['services', NAME, 'volumes', INDEX]`. */
  readonly path: ComposePath;
  readonly position: Position;
}

export interface ComposeServiceTmpfs {
  readonly mount: TmpfsMount;
  readonly raw: string;
  readonly path: ComposePath;
  readonly position: Position;
}

export interface ComposeVolumesFrom {
  readonly kind: 'service' | 'container';
  readonly name: string;
  readonly readOnly: boolean;
  readonly path: ComposePath;
  readonly position: Position;
}

export interface ComposeBuild {
  /** Absolute, or the address of a repository. */
  readonly context: string;
  readonly dockerfile: string | undefined;
  readonly dockerfileInline: string | undefined;
  readonly target: string | undefined;
}

export interface ComposeDependency {
  readonly condition: 'service_started' | 'service_healthy' | 'service_completed_successfully';
  readonly restart: boolean;
  readonly required: boolean;
}

export interface ComposeHealthcheck {
  /** `['CMD', …]`, `['CMD-SHELL', text]` or `['NONE']`; undefined: the image's. */
  readonly test: readonly string[] | undefined;
  readonly disabled: boolean;
}

/** An entry of the project's `configs` or `secrets`. */
export interface ComposeResource {
  readonly key: string;
  /** At the engine. */
  readonly name: string;
  readonly external: boolean;
  /** Absolute. */
  readonly file: string | undefined;
  /** The variable whose value it has. */
  readonly environment: string | undefined;
  readonly content: string | undefined;
}

/** What a service is given of the project's `configs` or `secrets`. */
export interface ComposeGrant {
  /** The key in the project's `configs` or `secrets`. */
  readonly source: string;
  /** Where it is in the container, absolute. */
  readonly destination: string;
  readonly uid: string | undefined;
  readonly gid: string | undefined;
  /** Permission bits. */
  readonly mode: number | undefined;
  readonly path: ComposePath;
  readonly position: Position;
}
