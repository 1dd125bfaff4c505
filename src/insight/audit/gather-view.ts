import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { ComposeProject } from '../../compose/index.ts';
import type { Container, Image } from '../../hosts/containers.ts';
import type { Host, HostInfo } from '../../hosts/host.ts';
import { requireAnswer } from '../../lib/require-answer.ts';
import { fromText } from '../../model/byte-string.ts';
import { AppError, errnoOf, errorMessage, isAppError } from '../../model/errors.ts';
import type { Position } from '../../model/finding.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import { ownLabels, ownStack } from '../../quiesce/index.ts';
import type { AuditRequest, AuditSources } from './audit-request.ts';
import type { AuditedProject, AuditView, VolumeContent } from './audit-view.ts';
import { holdsSecret } from './secrets.ts';
import { lookIntoVolume } from './look-into-volume.ts';
import { readSmallFile } from './read-small-file.ts';
import type { Alarm } from './rule.ts';
import { findShadows } from './rules/shadowed-data.ts';
import {
  composeFilesOf,
  envFilesOf,
  type HostFacts,
  serviceOfContainer,
  volumesOfHost,
} from './view-of-host.ts';
import { imageOf, servicesOfProject, volumesOfProject } from './view-of-project.ts';

export interface GatheredView {
  readonly view: AuditView;
  /** The one that was asked for; undefined for the whole host. */
  readonly stack: string | undefined;
  /** False for an alarm about something else than what was asked for. */
  readonly isMeant: (alarm: Alarm) => boolean;
  /** How many of what was asked for were looked at. */
  readonly looked: { readonly containers: number; readonly volumes: number };
  /** What Compose refuses of the files. */
  readonly refused: readonly string[];
  readonly notes: readonly string[];
}

/** Asks the host, the images and the files, and joins what they say. Reads only. */
export async function gatherView(sources: AuditSources, request: AuditRequest): Promise<GatheredView> {
  const notes: string[] = [];
  const { signal } = request;
  const named = await namedProject(sources, request);
  const engine = await askHost(sources, { isNeeded: named === undefined, notes, signal });
  const stack = named === undefined ? request.target : named.name;
  const found =
    named === undefined ? await projectsOfHost(sources, engine, { stack, notes, signal }) : [named];
  if (stack !== undefined && named === undefined && found.length === 0 && !isStackOnHost(engine, stack))
    throw noSuchTarget(stack);
  const refused = found.flatMap(refusals);
  const projects = await Promise.all(found.map(examine));
  const images = await askImages(engine, found, notes, signal);
  const facts: HostFacts = { ...engine, images, contents: new Map() };
  const shallow = join(projects, facts);
  const contents = await lookInto(engine, shallow, signal);
  const { services, volumes } = join(projects, { ...facts, contents });
  const coverage = await askCoverage(sources, engine, { notes, signal });
  const meant = stack === undefined ? undefined : volumesOf(stack, { services, volumes });
  const view: AuditView = {
    services,
    volumes,
    projects,
    places: coverage,
    backups: await findDevices(sources, engine, { meant, signal }),
  };
  return {
    view,
    isMeant: stack === undefined || meant === undefined ? () => true : scopeOf(view, stack, meant),
    stack,
    looked: {
      containers: services.filter(
        (service) => service.container !== undefined && (stack === undefined || service.stack === stack),
      ).length,
      volumes: volumes.filter(({ name }) => meant === undefined || meant.has(name)).length,
    },
    refused,
    notes,
  };
}

/** The volumes that a stack declares or mounts. */
function volumesOf(
  stack: string,
  { services, volumes }: Pick<AuditView, 'services' | 'volumes'>,
): Set<string> {
  const mounts = services.filter((service) => service.stack === stack).flatMap((service) => service.mounts);
  return new Set([
    ...volumes.filter((volume) => volume.stack === stack).map(({ name }) => name),
    ...mounts.flatMap(({ source }) => source ?? []),
  ]);
}

/** A project that the target names as a file or folder; undefined for a stack or the whole host. */
async function namedProject(
  { loadProject: load, env }: AuditSources,
  { target, directory, signal }: AuditRequest,
): Promise<ComposeProject | undefined> {
  if (target === undefined) return undefined;
  const place = path.resolve(directory, target);
  const kind = await kindOf(place);
  const isPath = target.includes('/') || /\.ya?ml$/i.test(target) || target === '.' || target === '..';
  if (kind === undefined || !(isPath || kind === 'file')) {
    if (isPath) throw new AppError('not-found', `Cannot audit ${quote(target)}: there is no such file`);
    return undefined;
  }
  return kind === 'folder'
    ? await load({ directory: place, env, signal })
    : await load({ files: [place], directory, env, signal });
}

async function kindOf(place: string): Promise<'file' | 'folder' | undefined> {
  try {
    return (await stat(place)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    if (errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}

function noSuchTarget(stack: string): AppError {
  return new AppError('not-found', `Cannot audit ${quote(stack)}: there is no such stack and no such file`, {
    hint: 'Name a Compose file or its folder ("./compose.yaml", "."), or a stack of "docker compose ls".',
  });
}

interface Engine {
  /** Undefined where no engine could be asked. */
  readonly host: Host | undefined;
  readonly info: HostInfo | undefined;
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
}

const noEngine: Engine = { host: undefined, info: undefined, containers: [], volumes: [] };

interface Asking {
  readonly notes: string[];
  readonly signal?: AbortSignal | undefined;
}

/** A file can be audited without an engine. */
async function askHost(
  { host: open }: AuditSources,
  { isNeeded, notes, signal }: Asking & { readonly isNeeded: boolean },
): Promise<Engine> {
  try {
    const host = await open();
    const [info, volumes, containers] = await Promise.all([
      host.info({ signal }),
      host.listVolumes({ signal }),
      host.containers?.list({ signal }) ?? [],
    ]);
    return { host, info, volumes, containers };
  } catch (error) {
    if (isNeeded || isAppError(error, 'cancelled')) throw error;
    notes.push(`Only the file was looked at: ${errorMessage(error)}`);
    return noEngine;
  }
}

function isStackOnHost({ containers, volumes }: Engine, stack: string): boolean {
  return (
    containers.some((container) => ownStack(container) === stack) ||
    volumes.some((volume) => volume.stack === stack)
  );
}

/** The projects whose files Compose has named on containers. A label of an image names nothing. */
async function projectsOfHost(
  { loadProject: load, env }: AuditSources,
  { containers, info }: Engine,
  { stack, notes, signal }: Asking & { readonly stack: string | undefined },
): Promise<ComposeProject[]> {
  if (info?.isRemote === true) return [];
  const asked = new Map<
    string,
    {
      readonly name: string;
      readonly files: string[];
      readonly envFiles: string[] | undefined;
      readonly directory: string | undefined;
    }
  >();
  for (const container of containers) {
    const labels = ownLabels(container);
    const name = labels['com.docker.compose.project'];
    const files = composeFilesOf(container);
    if (name === undefined || (stack !== undefined && name !== stack)) continue;
    if (files.length === 0 || !files.every((file) => path.isAbsolute(file))) continue;
    const directory = labels['com.docker.compose.project.working_dir'];
    const envFiles = envFilesOf(container);
    asked.set(`${name}\n${files.join()}`, {
      name,
      files,
      envFiles: envFiles.length === 0 ? undefined : envFiles,
      directory,
    });
  }
  const projects: ComposeProject[] = [];
  for (const { name, files, envFiles, directory } of asked.values()) {
    try {
      for (const file of files) await requireAnswer(fromText(file), { name: file, signal });
      projects.push(
        await load({
          files,
          envFiles,
          projectName: name,
          projectDirectory: directory,
          directory: directory ?? '/',
          env,
          signal,
        }),
      );
    } catch (error) {
      if (isAppError(error, 'cancelled')) throw error;
      notes.push(`The file of stack ${quote(name)} was not looked at: ${errorMessage(error)}`);
    }
  }
  return projects;
}

/** What Compose would refuse is left out of a project, so the audit has not seen it. */
function refusals({ problems }: ComposeProject): string[] {
  return problems
    .filter(({ kind }) => kind === 'error')
    .map(
      ({ message, position: { file, line } }) => `Compose refuses ${quote(file)}, line ${line}: ${message}`,
    );
}

/** A system that refuses says nothing; a fault of the program is one. */
function unlessFault(error: unknown): undefined {
  if (errnoOf(error) === undefined && !isAppError(error)) throw error;
  return undefined;
}

const secretFilesAtMost = 1000;

/** Reads the lines of a project’s files, and the modes of files with secrets. */
async function examine(project: ComposeProject): Promise<AuditedProject> {
  const lines = new Map<string, readonly string[]>();
  const secretFiles = new Map<string, number>();
  for (const file of project.filesRead) {
    // Changed or gone since it was read: the rule then judges by the value alone.
    const content = await readSmallFile(file).catch(unlessFault);
    if (content !== undefined) lines.set(file, content.split('\n'));
  }
  const secrets = [...project.secrets.values()].flatMap(({ file }) => file ?? []);
  const variables = project.filesRead.filter((file) => !/\.ya?ml$/i.test(file) && hasSecret(lines.get(file)));
  for (const file of [...secrets, ...variables].slice(0, secretFilesAtMost)) {
    // One that is missing is Compose's own error.
    const found = await stat(file).catch(unlessFault);
    if (found?.isFile() === true) secretFiles.set(file, found.mode & 0o7777);
  }
  return {
    project,
    secretFiles,
    lineAt: ({ file, line }: Position) => lines.get(file)?.[line - 1],
  };
}

/** A line of a file of variables. */
function hasSecret(lines: readonly string[] = []): boolean {
  return lines.some((line) => {
    const [, name = '', value = ''] =
      /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*["']?([^"'#]*)/.exec(line) ?? [];
    return holdsSecret(name, value);
  });
}

const asksAtOnce = 8;

/** What the images of services and containers declare; one that is gone or broken declares nothing. */
async function askImages(
  { host, containers }: Engine,
  projects: readonly ComposeProject[],
  notes: string[],
  signal: AbortSignal | undefined,
): Promise<Map<string, Image>> {
  const images = new Map<string, Image>();
  const asked = host?.containers;
  if (asked === undefined) return images;
  const names = new Set([
    ...containers.map(({ imageId }) => imageId),
    ...projects.flatMap((project) =>
      [...project.services.values()].map((service) => imageOf(service, project)),
    ),
  ]);
  names.delete('');
  const queue = names.values();
  const work = async (): Promise<void> => {
    for (const name of queue) {
      try {
        const image = await asked.findImage(name, { signal });
        if (image !== undefined) images.set(name, image);
      } catch (error) {
        if (isAppError(error, 'cancelled')) throw error;
        notes.push(`The image ${quote(name)} was not looked at: ${errorMessage(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: asksAtOnce }, work));
  return images;
}

function join(
  projects: readonly AuditedProject[],
  facts: HostFacts,
): Pick<AuditView, 'services' | 'volumes'> {
  const onHost = volumesOfHost(facts);
  const declared = projects.flatMap((project) => volumesOfProject(project, onHost));
  const names = new Set(declared.map(({ name }) => name));
  const volumes = [...declared, ...onHost.filter(({ name }) => !names.has(name))];
  const ofFiles = projects.flatMap((project) => servicesOfProject(project, facts.images, volumes));
  const ofHost = facts.containers.map((container) => {
    const service = serviceOfContainer(container, facts, volumes);
    // Where a file names the service, its line is where to mend what the container shows.
    const inFile = ofFiles.find(({ key }) => key === service.key);
    return inFile === undefined ? service : { ...service, place: inFile.place };
  });
  return { services: [...ofFiles, ...ofHost], volumes };
}

/** Looks for the newest data only where data may lie beside its volume. */
async function lookInto(
  { host, info, volumes }: Engine,
  { services }: Pick<AuditView, 'services'>,
  signal: AbortSignal | undefined,
): Promise<Map<string, VolumeContent>> {
  const contents = new Map<string, VolumeContent>();
  if (host === undefined || info === undefined) return contents;
  const shadows = services.flatMap((service) => findShadows(service));
  const deep = new Set(shadows.flatMap(({ meant, hidden }) => [meant.source, hidden?.source]));
  const queue = volumes.values();
  const work = async (): Promise<void> => {
    for (const volume of queue) {
      const content = await lookIntoVolume(host, volume, { info, deep: deep.has(volume.name), signal });
      if (content !== undefined) contents.set(volume.name, content);
    }
  };
  await Promise.all(Array.from({ length: asksAtOnce }, work));
  return contents;
}

/** Without a usable configuration nothing is known of policies; the rest of the audit still is. */
async function askCoverage(
  { coverage }: AuditSources,
  { host }: Engine,
  { notes, signal }: Asking,
): Promise<AuditView['places']> {
  if (host === undefined) return [];
  try {
    const { places, unreachable } = await coverage({ signal });
    for (const { message } of unreachable) notes.push(message);
    return places;
  } catch (error) {
    if (isAppError(error, 'cancelled')) throw error;
    notes.push(`Policies were not looked at: ${errorMessage(error)}`);
    return [];
  }
}

async function findDevices(
  { repositories }: AuditSources,
  { volumes, info }: Engine,
  {
    meant,
    signal,
  }: { readonly meant: ReadonlySet<string> | undefined; readonly signal: AbortSignal | undefined },
): Promise<AuditView['backups']> {
  const deviceOf = new Map<string, number>();
  if (info === undefined || info.isRemote === true) return { repositories: [], deviceOf };
  const local = (await repositories()).filter(({ location }) => path.isAbsolute(location));
  const found: { name: string; path: string; device: number }[] = [];
  for (const { name, location } of local) {
    const device = await deviceAt(location, signal);
    if (device !== undefined) found.push({ name, path: location, device });
  }
  if (found.length === 0) return { repositories: [], deviceOf };
  for (const { name, mountpoint, driver, options } of volumes) {
    const isMounted = driver !== 'local' || options['device'] !== undefined;
    if (mountpoint === undefined || isMounted || meant?.has(name) === false) continue;
    const device = await deviceAt(mountpoint, signal);
    if (device !== undefined) deviceOf.set(name, device);
  }
  return { repositories: found, deviceOf };
}

async function deviceAt(place: string, signal: AbortSignal | undefined): Promise<number | undefined> {
  try {
    await requireAnswer(fromText(place), { name: place, signal });
    return (await stat(place)).dev;
  } catch (error) {
    if (isAppError(error, 'cancelled')) throw error;
    // Gone or out of reach: other rules tell of that.
    return undefined;
  }
}

/** What belongs to a stack: its services, its volumes and those that it mounts. */
function scopeOf(
  { services }: AuditView,
  stack: string,
  meant: ReadonlySet<string>,
): (alarm: Alarm) => boolean {
  const own = services.filter((service) => service.stack === stack);
  const keys = new Set(own.map(({ key }) => key));
  return ({ subject, key, place }) => {
    if (place.project?.project.name === stack) return true;
    if (subject.kind === 'volume') return meant.has(subject.name);
    if (subject.kind === 'repository') return true;
    // A container of another stack may have the name of a service.
    return keys.has(key.split(' ')[0] ?? '');
  };
}
