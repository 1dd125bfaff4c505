import { AppError, isAppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { ownStack } from '../../quiesce/index.ts';
import { askBackups, askHost, askImages, type Engine, lookInto } from './ask-host.ts';
import type { AuditRequest, AuditSources } from './audit-request.ts';
import type { AuditedProject, AuditView } from './audit-view.ts';
import { examine, isFolder, namedProject, projectsOfHost, refusals } from './find-projects.ts';
import type { Alarm } from './rule.ts';
import { type HostFacts, serviceOfContainer, volumesOfHost } from './view-of-host.ts';
import { servicesOfProject, volumesOfProject } from './view-of-project.ts';

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
  const asking = { isNeeded: named === undefined, notes, signal };
  const engine = await askHost(sources, asking).catch(async (error: unknown) => {
    throw (await isFolder(request)) ? folderMeant(error, request.target) : error;
  });
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
  const contents = await lookInto(engine, shallow.services, signal);
  const { services, volumes } = join(projects, { ...facts, contents });
  const meant = stack === undefined ? undefined : volumesOf(stack, { services, volumes });
  const view: AuditView = {
    services,
    volumes,
    projects,
    ...(await askBackups(sources, engine, { meant, notes, signal })),
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

/** Without an engine there are no stacks, so the folder of that name is likely to be meant. */
function folderMeant(error: unknown, folder = ''): unknown {
  if (!isAppError(error, 'unavailable')) return error;
  const hint = `${quote(folder)} is taken for a stack. To audit the folder, write ${quote(`./${folder}`)}.`;
  return new AppError(error.code, error.message, { detail: error.detail, hint, cause: error });
}

function noSuchTarget(stack: string): AppError {
  return new AppError('not-found', `Cannot audit ${quote(stack)}: there is no such stack and no such file`, {
    hint: 'Name a Compose file or its folder ("./compose.yaml", "."), or a stack of "docker compose ls".',
  });
}

function isStackOnHost({ containers, volumes }: Engine, stack: string): boolean {
  return (
    containers.some((container) => ownStack(container) === stack) ||
    volumes.some((volume) => volume.stack === stack)
  );
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
    if (subject.kind === 'repository' || subject.kind === 'host') return true;
    // A container of another stack may have the name of a service.
    return keys.has(key.split(' ')[0] ?? '');
  };
}
