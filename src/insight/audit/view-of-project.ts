import type { ComposeProject, ComposeService } from '../../compose/index.ts';
import type { Image } from '../../hosts/containers.ts';
import { cleanPath } from '../../model/clean-path.ts';
import type { Mount } from '../../model/mount.ts';
import type { AuditedMount, AuditedProject, AuditedService, AuditedVolume, Place } from './audit-view.ts';
import { imageFacts } from './image-facts.ts';
import { keyOf } from './view-of-host.ts';

/**
 * The volumes that a file declares, in the form of the audit. What the host knows of one comes with it, so
 * that options that differ are the file's: they are what the next `up` asks for. Pure.
 */
export function volumesOfProject(audited: AuditedProject, onHost: readonly AuditedVolume[]): AuditedVolume[] {
  const { project } = audited;
  return [...project.volumes.values()].map((volume) => {
    const known = onHost.find(({ name }) => name === volume.name);
    const path = ['volumes', volume.key];
    return {
      name: volume.name,
      driver: volume.driver ?? known?.driver ?? 'local',
      options: volume.external ? (known?.options ?? {}) : volume.options,
      labels: { ...known?.labels, ...volume.labels },
      stack: volume.external ? known?.stack : project.name,
      isExternal: volume.external,
      isAnonymous: false,
      isOnHost: known !== undefined,
      consumers: known?.consumers ?? [],
      createdAt: known?.createdAt,
      content: known?.content,
      place: placeAt(audited, path),
    };
  });
}

/** The services of a file in the form of the audit. Pure. */
export function servicesOfProject(
  audited: AuditedProject,
  images: ReadonlyMap<string, Image>,
  volumes: readonly AuditedVolume[],
): AuditedService[] {
  const { project } = audited;
  return [...project.services.values()].map((service) => serviceOf(service, { audited, images, volumes }));
}

interface Surrounding {
  readonly audited: AuditedProject;
  readonly images: ReadonlyMap<string, Image>;
  readonly volumes: readonly AuditedVolume[];
}

function serviceOf(service: ComposeService, { audited, images, volumes }: Surrounding): AuditedService {
  const { project } = audited;
  const { name, path } = service;
  const image = imageOf(service, project);
  const environment = Object.fromEntries(
    [...service.environment].flatMap(([variable, value]) => (value === undefined ? [] : [[variable, value]])),
  ) as Record<string, string>;
  const command = [...(service.entrypoint ?? []), ...(service.command ?? [])];
  return {
    subject: { kind: 'service', name },
    stack: project.name,
    key: keyOf(project.name, name, name),
    image,
    facts: imageFacts(service.image ?? '', { environment, command }, images.get(image)),
    user: service.user ?? '',
    environment: Object.entries(environment).map(([variable, value]) => ({
      name: variable,
      value,
      place: placeAt(audited, [...path, 'environment', variable]),
    })),
    labels: service.labels,
    command,
    mounts: mountsOf(service, { audited, images, volumes }),
    privileged: service.privileged,
    securityOptions: service.securityOpt,
    place: placeAt(audited, path),
    container: undefined,
    service,
  };
}

/** The name under which the host may have the image: Compose names what it builds. */
export function imageOf(service: ComposeService, project: ComposeProject): string {
  return service.image ?? `${project.name}-${service.name}`;
}

function mountsOf(service: ComposeService, { audited, volumes }: Surrounding): AuditedMount[] {
  const { project } = audited;
  const mounted = service.mounts.map(({ mount, path, position }) =>
    toMount(mount, { project, volumes, place: { project: audited, path, position } }),
  );
  const inMemory = service.tmpfs.map(({ mount, path, position }) =>
    toMount(mount, { project, volumes, place: { project: audited, path, position } }),
  );
  // What Compose puts there itself covers a VOLUME of the image too.
  return [...mounted, ...inMemory];
}

function toMount(
  mount: Mount,
  {
    project,
    volumes,
    place,
  }: { readonly project: ComposeProject; readonly volumes: readonly AuditedVolume[]; readonly place: Place },
): AuditedMount {
  const key = mount.type === 'volume' ? mount.source : undefined;
  const name = key === undefined ? undefined : (project.volumes.get(key)?.name ?? key);
  return {
    type: mount.type === 'bind' || mount.type === 'volume' || mount.type === 'tmpfs' ? mount.type : 'other',
    source: mount.type === 'tmpfs' ? undefined : mount.type === 'volume' ? name : mount.source,
    isAnonymous: mount.type === 'volume' && mount.source === undefined,
    volume: mount.type === 'volume' ? volumes.find((volume) => volume.name === name) : undefined,
    target: cleanPath(mount.target),
    readOnly: mount.readOnly,
    propagation: mount.type === 'bind' ? mount.propagation : undefined,
    memory:
      mount.type === 'tmpfs'
        ? {
            hasSize:
              mount.sizeBytes !== undefined || mount.options.some((option) => option.startsWith('size=')),
            mayExecute: mount.options.includes('exec'),
          }
        : undefined,
    place,
  };
}

function placeAt(audited: AuditedProject, path: readonly (string | number)[]): Place {
  return { project: audited, path, position: audited.project.positionOf(path) };
}
