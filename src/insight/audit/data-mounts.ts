import { cleanPath, isWithin } from '../../model/clean-path.ts';
import type { AuditedMount, AuditedService } from './audit-view.ts';

/** Where a path of a container really lies. */
export type Lies =
  | { readonly on: 'mount'; readonly mount: AuditedMount }
  /** On the anonymous volume that the engine makes for a `VOLUME` of the image. */
  | { readonly on: 'anonymous'; readonly at: string; readonly mount: AuditedMount | undefined }
  /** In the container's own layer, which goes with the container. */
  | { readonly on: 'layer' };

/**
 * Where what a service writes at `path` lands: on the deepest mount at or above it, where each `VOLUME` of
 * the image that is not mounted itself counts as one. Pure.
 */
export function whereLies(service: AuditedService, path: string): Lies {
  const mounts = service.mounts.filter(({ target }) => isWithin(path, target));
  const declared = unmounted(service).filter((at) => isWithin(path, at));
  const mount = deepest(mounts, ({ target }) => target);
  const at = deepest(declared, (volume) => volume);
  if (at !== undefined && (mount === undefined || at.length > mount.target.length))
    return { on: 'anonymous', at, mount: undefined };
  if (mount === undefined) return { on: 'layer' };
  return mount.isAnonymous ? { on: 'anonymous', at: mount.target, mount } : { on: 'mount', mount };
}

/** The `VOLUME`s of the image that nothing is mounted at. */
export function unmounted({ facts, mounts }: AuditedService): string[] {
  return facts.volumes.map(cleanPath).filter((at) => !mounts.some(({ target }) => target === at));
}

/** Mounts that were made to keep data: named volumes and folders of the host that can be written. */
export function keepingMounts({ mounts }: AuditedService): AuditedMount[] {
  return mounts.filter(
    ({ type, isAnonymous, readOnly, target }) =>
      (type === 'volume' || type === 'bind') && !isAnonymous && !readOnly && !isAside(target),
  );
}

const asideNames =
  /(?:^|[/_.-])(?:init|initdb|docker-entrypoint[^/]*|conf|config|configdb|conf\.d|etc|logs?|tmp|temp|cache|run|backups?|dumps?|certs?|ssl|tls|secrets?|scripts?|plugins|entrypoint|sock(?:et)?|localtime|timezone|passwd|group)(?:$|[/_.-])/i;

/** True for a place that is not meant for a server's data. */
function isAside(target: string): boolean {
  return asideNames.test(target) || /\.[a-z]{2,5}$/i.test(target);
}

function deepest<T>(all: readonly T[], pathOf: (one: T) => string): T | undefined {
  return all.toSorted((a, b) => pathOf(b).length - pathOf(a).length)[0];
}
