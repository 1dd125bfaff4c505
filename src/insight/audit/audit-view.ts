import type { ComposePath, ComposeProject, ComposeService, Owner } from '../../compose/index.ts';
import type { Container } from '../../hosts/containers.ts';
import type { FindingSubject, Position } from '../../model/finding.ts';
import type { CoveredPlace } from '../../policies/index.ts';
import type { ImageFacts } from './image-facts.ts';

/**
 * What an audit looks at: Compose files, the running host and what images declare, in one form. A rule reads
 * nothing else, so a rule for a file finds the same on a host. Data only; made by `view-of-project.ts` and
 * `view-of-host.ts`.
 */
export interface AuditView {
  readonly services: readonly AuditedService[];
  readonly volumes: readonly AuditedVolume[];
  readonly projects: readonly AuditedProject[];
  /** Empty when no host was asked. */
  readonly places: readonly CoveredPlace[];
  readonly backups: BackupPlaces;
}

export interface AuditedProject {
  readonly project: ComposeProject;
  /** A line of a file of the project, as written: before variables are filled in. */
  readonly lineAt: (position: Position) => string | undefined;
  /** Permission bits of files that hold secrets, by path; missing ones are left out. */
  readonly secretFiles: ReadonlyMap<string, number>;
}

/** Where the data of volumes and repositories lies, for those on this machine. */
export interface BackupPlaces {
  /** Local repositories, with the device of their file system. */
  readonly repositories: readonly { readonly name: string; readonly path: string; readonly device: number }[];
  readonly deviceOf: ReadonlyMap<string, number>;
  /** There is no repository at all, on this machine or elsewhere; undefined where there is one, or no engine answers. */
  readonly missing?: MissingRepository | undefined;
}

export interface MissingRepository {
  /** Of the machine whose engine answers. */
  readonly machine: string;
  /** Why none could be opened, a sentence each. */
  readonly reasons: readonly string[];
}

/** Where a value stands in a Compose file; all undefined for what only the host knows. */
export interface Place {
  readonly project: AuditedProject | undefined;
  readonly path: ComposePath | undefined;
  readonly position: Position | undefined;
}

export const nowhere: Place = { project: undefined, path: undefined, position: undefined };

/** A service of a file, or a container. */
export interface AuditedService {
  readonly subject: FindingSubject;
  readonly stack: string | undefined;
  /** Equal for a service and for the containers that run it. */
  readonly key: string;
  /** '' for one that is built. */
  readonly image: string;
  readonly facts: ImageFacts;
  /** Who it runs as; '' is the image's default, and root where that has none. */
  readonly user: string;
  readonly environment: readonly AuditedVariable[];
  readonly labels: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  readonly mounts: readonly AuditedMount[];
  readonly privileged: boolean;
  readonly securityOptions: readonly string[];
  readonly place: Place;
  /** Undefined for one that only a file knows. */
  readonly container: Container | undefined;
  /** Undefined for one that only the host knows. */
  readonly service: ComposeService | undefined;
}

export interface AuditedVariable {
  readonly name: string;
  readonly value: string;
  readonly place: Place;
}

export interface AuditedMount {
  readonly type: 'volume' | 'bind' | 'tmpfs' | 'other';
  /** The volume's name at the engine, or an absolute path; undefined for memory and for a new anonymous volume. */
  readonly source: string | undefined;
  readonly isAnonymous: boolean;
  readonly volume: AuditedVolume | undefined;
  /** Absolute and clean. */
  readonly target: string;
  readonly readOnly: boolean;
  readonly propagation: string | undefined;
  /** Undefined unless it is in memory. */
  readonly memory: { readonly hasSize: boolean; readonly mayExecute: boolean } | undefined;
  readonly place: Place;
}

export interface AuditedVolume {
  /** At the engine. */
  readonly name: string;
  readonly driver: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly stack: string | undefined;
  readonly isExternal: boolean;
  readonly isAnonymous: boolean;
  readonly isOnHost: boolean;
  /** Containers that refer to it; empty for one that only a file knows. */
  readonly consumers: readonly string[];
  /** RFC 3339. */
  readonly createdAt: string | undefined;
  /** Undefined when it was not looked into. */
  readonly content: VolumeContent | undefined;
  readonly place: Place;
}

/** What a bounded look into a volume has seen. */
export interface VolumeContent {
  readonly isEmpty: boolean;
  /** Milliseconds since 1970; undefined for an empty one. */
  readonly newestMs: number | undefined;
  readonly root: Owner & { readonly mode: number };
  /** Who root of the engine's containers is on this machine. */
  readonly containersRoot: Owner;
}
