import { cleanPath, isWithin } from '../../../model/clean-path.ts';
import { quote } from '../../../model/quote.ts';
import type { AuditedMount, AuditedService } from '../audit-view.ts';
import { keepingMounts, unmounted, whereLies } from '../data-mounts.ts';
import { localTime } from '../../../model/local-time.ts';
import type { Alarm, Rule } from '../rule.ts';

export const shadowedData: Rule = {
  id: 'HF-V001',
  name: 'shadowed-data',
  severity: 'loss',
  title: 'The image writes beside the mount that is meant for its data',
  meaning:
    'The data is in a volume without a name, or in the container itself, and the volume that looks as if it held it stays empty: "docker compose down", a prune or a new container loses everything.',
  *check(view) {
    for (const service of view.services)
      for (const shadow of findShadows(service)) yield alarm(service, shadow);
  },
};

/** Data that lands beside the mount that was made for it. */
export interface Shadow {
  /** The mount that stays empty. */
  readonly meant: AuditedMount;
  /** Where the image writes. */
  readonly path: string;
  /** Where the anonymous volume is mounted; undefined when the data is in the container's layer. */
  readonly at: string | undefined;
  /** The anonymous volume itself, where the host has it. */
  readonly hidden: AuditedMount | undefined;
  /** Where the meant mount belongs. */
  readonly belongsAt: string;
}

/** Pure. Used by the fix too, so that it moves what the alarm is about. */
export function findShadows(service: AuditedService): Shadow[] {
  const { server, isJob } = service.facts;
  if (isJob) return [];
  if (server !== undefined)
    return server.dataDirectories.flatMap((path) => shadowOfServer(service, cleanPath(path)));
  // One that no VOLUME made was asked for, as `- /app/node_modules` is beside `.:/app`.
  const made = service.mounts.filter(
    ({ isAnonymous, target }) =>
      isAnonymous && service.facts.volumes.some((volume) => cleanPath(volume) === target),
  );
  return unmounted(service)
    .concat(made.map(({ target }) => target))
    .flatMap((at) => shadowBelow(service, at));
}

/** A server writes to a place that is known, so a mount that keeps data near it was meant for it. */
function shadowOfServer(service: AuditedService, path: string): Shadow[] {
  const lies = whereLies(service, path);
  if (lies.on === 'mount') return [];
  const near = keepingMounts(service).filter(({ target }) => isNear(target, path));
  const meant = near.find(({ target }) => isRelated(target, path)) ?? near[0];
  if (meant === undefined) return [];
  const at = lies.on === 'anonymous' ? lies.at : undefined;
  const hidden = lies.on === 'anonymous' ? lies.mount : undefined;
  return [{ meant, path, at, hidden, belongsAt: at ?? path }];
}

/** In the same part of the tree, or in a folder that is the data directory of other images of the server. */
function isNear(target: string, path: string): boolean {
  const twoFolders = /^\/[^/]+\/[^/]+(?=\/|$)/;
  return (
    isRelated(target, path) ||
    twoFolders.exec(target)?.[0] === twoFolders.exec(path)?.[0] ||
    /^\/(?:data|db|database|pgdata|bitnami)(?:\/|$)/.test(target)
  );
}

function isRelated(target: string, path: string): boolean {
  return isWithin(target, path) || isWithin(path, target);
}

const expendable = /(?:^|[/_.-])(?:cache|caches|tmp|temp|logs?|run|sessions?)(?:$|[/_.-])/i;

/** Of another image only a volume inside a mount is sure to hide something. */
function shadowBelow(service: AuditedService, at: string): Shadow[] {
  if (expendable.test(at)) return [];
  const mounts = service.mounts.filter(
    ({ type, isAnonymous, readOnly }) => (type === 'volume' || type === 'bind') && !isAnonymous && !readOnly,
  );
  const meant = mounts.find(({ target }) => target !== at && isWithin(at, target));
  const hidden = service.mounts.find(({ target, isAnonymous }) => isAnonymous && target === at);
  return meant === undefined ? [] : [{ meant, path: at, at, hidden, belongsAt: at }];
}

function alarm(service: AuditedService, { meant, path, at, hidden, belongsAt }: Shadow): Alarm {
  const { subject, facts, key } = service;
  const what = meant.source === undefined ? 'the volume' : quote(meant.source);
  const lands =
    at === undefined
      ? 'in the container itself'
      : `in ${hidden?.source === undefined ? 'a volume without a name' : `the anonymous volume ${quote(hidden.source)}`} at ${quote(at)}`;
  return {
    subject,
    key: `${key} ${meant.target}`,
    message: `${quote(subject.name)} mounts ${what} at ${quote(meant.target)}, and ${facts.server?.label ?? 'its image'} writes to ${quote(path)}: the data lands ${lands}`,
    evidence: [
      ...(facts.from === 'image' ? [`The image declares VOLUME ${facts.volumes.join(', ')}.`] : []),
      ...(facts.from === 'table' && facts.volumes.length > 0
        ? [`Images of this name declare VOLUME ${facts.volumes.join(', ')}.`]
        : []),
      ...(facts.environment['PGDATA'] === undefined
        ? []
        : [`PGDATA is ${quote(facts.environment['PGDATA'])}.`]),
      ...contentLine(meant),
      ...(hidden === undefined ? [] : contentLine(hidden)),
    ],
    remedy: `Move the mount from ${quote(meant.target)} to ${quote(belongsAt)}, and the data with it`,
    commands: hidden === undefined ? [] : [['holdfast', 'audit', service.stack ?? '--all', '--fix']],
    place: meant.place,
  };
}

function contentLine({ source, volume }: AuditedMount): string[] {
  if (source === undefined || volume?.content === undefined) return [];
  const { isEmpty, newestMs } = volume.content;
  if (isEmpty || newestMs === undefined) return [`${quote(source)} is empty.`];
  return [`The newest file in ${quote(source)} is of ${localTime(new Date(newestMs).toISOString())}.`];
}
