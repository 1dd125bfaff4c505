import type { ComposePath } from '../../../compose/index.ts';
import { isWithin } from '../../../model/clean-path.ts';
import { quote } from '../../../model/quote.ts';
import { parseImageName } from '../../../quiesce/index.ts';
import type { AuditedMount, AuditedProject, AuditedService, AuditView } from '../audit-view.ts';
import { composeFilesOf, envFilesOf, keyOf } from '../view-of-host.ts';
import { findShadows, type Shadow } from '../rules/shadowed-data.ts';

/** Moves data from an anonymous volume to the volume that was meant for it, and the mount to where it belongs. */
export interface DataMove {
  readonly stack: string;
  readonly service: string;
  /** The container that runs on the anonymous volume now. */
  readonly containerId: string;
  readonly containerName: string;
  /** The anonymous volume, and the named one, which is empty. */
  readonly from: string;
  readonly to: string;
  /** The names down to the empty folder in the named volume on which the anonymous one is mounted. */
  readonly leftover: readonly string[];
  /** Undefined when the file says it already, and the container is older. */
  readonly edit: LineEdit | undefined;
  /** Then the line as the container must have been made from it: by that Compose says what else has changed. */
  readonly older: LineEdit | undefined;
  /** What Compose calls the image of the service. */
  readonly image: string;
  readonly files: readonly string[];
  /** Of `--env-file`, as Compose has noted them. */
  readonly envFiles: readonly string[];
  readonly directory: string;
}

/** One line of a Compose file. */
export interface LineEdit {
  readonly file: string;
  readonly line: number;
  readonly before: string;
  readonly after: string;
}

export interface FixPlan {
  readonly moves: readonly DataMove[];
  /** What is to be done by hand, and why. */
  readonly byHand: readonly { readonly subject: string; readonly why: string }[];
}

/** What can be moved back safely, of one stack or of all. Pure. */
export function planMoves(view: AuditView, stack: string | undefined): FixPlan {
  const moves: DataMove[] = [];
  const byHand: { subject: string; why: string }[] = [];
  for (const service of view.services) {
    if (service.container === undefined || (stack !== undefined && service.stack !== stack)) continue;
    for (const shadow of findShadows(service)) {
      const planned = planMove(view, service, shadow);
      if (typeof planned === 'string') byHand.push({ subject: service.subject.name, why: planned });
      else moves.push(planned);
    }
  }
  return { moves, byHand };
}

/** Returns why it is not safe, as a sentence, where it is not. */
function planMove(
  view: AuditView,
  service: AuditedService,
  { meant, hidden, belongsAt }: Shadow,
): DataMove | string {
  const { container, stack, place } = service;
  if (hidden?.source === undefined)
    return 'The data is in no volume of its own, but in the container itself.';
  if (meant.type !== 'volume' || meant.source === undefined)
    return 'The mount is a folder of the machine and no volume.';
  const reason = contentReason(hidden, meant);
  if (reason !== undefined) return reason;
  const others = (meant.volume?.consumers ?? []).filter((name) => name !== container?.name);
  if (others.length > 0) return `${quote(meant.source)} is used by ${others.map(quote).join(', ')} too.`;
  const joiner = joinerOf(view, container);
  if (joiner !== undefined)
    return `${quote(joiner)} shares its network, processes or memory, and would have to be made anew with it.`;
  const inFile = view.services.find((one) => one.key === service.key && one.container === undefined);
  if (
    container?.service === undefined ||
    stack === undefined ||
    inFile === undefined ||
    place.project === undefined
  )
    return 'Its Compose file was not found: change the mount by hand where the container is made.';
  const edits = editsOf(place.project, inFile, { meant, belongsAt });
  if (typeof edits === 'string') return edits;
  const { edit, older } = edits;
  if (older !== undefined && bareName(inFile.image) !== bareName(service.image))
    return `The Compose file names the image ${quote(inFile.image)} by now, and the container is of ${quote(service.image)}.`;
  const shared = edit && sharedReason(view, place.project, { key: service.key, edit });
  if (shared !== undefined) return shared;
  if (older !== undefined && !place.project.project.files.includes(older.file))
    return `The mount is written in ${quote(older.file)}, so Compose cannot say what else has changed since the container was made.`;
  return {
    stack,
    service: container.service,
    containerId: container.id,
    containerName: container.name,
    from: hidden.source,
    to: meant.source,
    leftover: isWithin(hidden.target, meant.target)
      ? hidden.target
          .slice(meant.target.length)
          .split('/')
          .filter((name) => name !== '')
      : [],
    edit,
    older,
    image: inFile.image,
    files: place.project.project.files,
    envFiles: envFilesOf(container),
    directory: place.project.project.directory,
  };
}

/** One that has joined a container could not start again when that has been replaced. */
function joinerOf({ services }: AuditView, joined: AuditedService['container']): string | undefined {
  return services.find(({ container }) =>
    container?.joins?.some((one) => one === joined?.id || one === joined?.name),
  )?.container?.name;
}

function contentReason(hidden: AuditedMount, meant: AuditedMount): string | undefined {
  const from = hidden.volume?.content;
  const to = meant.volume?.content;
  if (from === undefined || to === undefined) return 'The volumes could not be looked into.';
  if (from.isEmpty) return 'There is nothing to move.';
  if (!to.isEmpty)
    return `${quote(meant.source ?? '')} holds data already, and which of the two counts is for you to say.`;
  return undefined;
}

/** The line with the mount’s new place, or with its old one when the file has the new one; a sentence when it is not clear. */
function editsOf(
  { project, lineAt }: AuditedProject,
  inFile: AuditedService,
  { meant, belongsAt }: Pick<Shadow, 'meant' | 'belongsAt'>,
): Pick<DataMove, 'edit' | 'older'> | string {
  const mount = inFile.mounts.find(({ source }) => source === meant.source);
  if (mount === undefined) return 'The Compose file no longer mounts the volume.';
  const isNew = mount.target === belongsAt;
  const place = isNew ? meant.target : belongsAt;
  if (mount.place.path === undefined) return 'The Compose file does not show the mount.';
  const position = project.positionOf([...mount.place.path, 'target']);
  const before = lineAt(position);
  const target = new RegExp(`(?<![\\w/.-])${escape(mount.target)}/?(?![\\w/.-])`, 'g');
  if (before?.match(target)?.length !== 1) return 'The line of the mount is not plain enough to be changed.';
  const { file, line } = position;
  const changed = { file, line, before, after: before.replace(target, () => place) };
  return isNew ? { edit: undefined, older: changed } : { edit: changed, older: undefined };
}

/**
 * A line that others read too, by an anchor, by `extends` or in another project of the same file, would move their mounts
 * without their data.
 */
function sharedReason(
  { services }: AuditView,
  { project }: AuditedProject,
  { key, edit: { file, line } }: { readonly key: string; readonly edit: LineEdit },
): string | undefined {
  if (!project.files.includes(file))
    return `The mount is written in ${quote(file)}, which others may use too.`;
  const isThere = (path: ComposePath): boolean => {
    const position = project.positionOf([...path, 'target']);
    return position.file === file && position.line === line;
  };
  const ofProject = [...project.services, ...project.inactiveServices].find(
    ([name, service]) =>
      keyOf(project.name, name, name) !== key && service.mounts.some(({ path }) => isThere(path)),
  );
  if (ofProject !== undefined) return `The line of the mount is that of ${quote(ofProject[0])} too.`;
  const elsewhere = services.find(
    ({ container, stack }) =>
      container !== undefined && stack !== project.name && composeFilesOf(container).includes(file),
  );
  return elsewhere && `The file of the mount is that of stack ${quote(elsewhere.stack ?? '')} too.`;
}

/** With its tag; without its registry, which Podman adds. */
function bareName(image: string): string {
  const [, tag = 'latest'] = /:([^/:@]+)(?:@|$)/.exec(image) ?? [];
  return `${parseImageName(image).path}:${tag}`;
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
