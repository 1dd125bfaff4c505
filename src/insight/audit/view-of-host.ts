import type { Container, ContainerMount, Image } from '../../hosts/containers.ts';
import { cleanPath } from '../../model/clean-path.ts';
import type { Volume } from '../../model/volume.ts';
import { ownLabels, ownStack } from '../../quiesce/index.ts';
import {
  type AuditedMount,
  type AuditedService,
  type AuditedVolume,
  nowhere,
  type VolumeContent,
} from './audit-view.ts';
import { imageFacts } from './image-facts.ts';

/** What the engine has answered. */
export interface HostFacts {
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
  /** By content id, and by the names that were asked for. */
  readonly images: ReadonlyMap<string, Image>;
  /** By the name of the volume. */
  readonly contents: ReadonlyMap<string, VolumeContent>;
}

/** The volumes of a host in the form of the audit. Pure. */
export function volumesOfHost({ volumes, contents }: HostFacts): AuditedVolume[] {
  return volumes.map((volume) => ({
    name: volume.name,
    driver: volume.driver,
    options: volume.options,
    labels: volume.labels,
    stack: volume.stack,
    isExternal: false,
    isAnonymous: volume.anonymous,
    isOnHost: true,
    consumers: [...new Set(volume.consumers.map(({ name }) => name))],
    createdAt: volume.createdAt,
    content: contents.get(volume.name),
    place: nowhere,
  }));
}

/** A container in the form of the audit. Pure. */
export function serviceOfContainer(
  container: Container,
  { images }: Pick<HostFacts, 'images'>,
  volumes: readonly AuditedVolume[],
): AuditedService {
  const { name, service, image, environment, labels, user } = container;
  const stack = ownStack(container);
  const command = [...(container.entrypoint ?? []), ...container.command];
  return {
    subject: { kind: 'container', name },
    stack,
    key: keyOf(stack, service, name),
    image,
    facts: imageFacts(image, { environment, command }, images.get(container.imageId)),
    user,
    environment: Object.entries(environment).map(([variable, value]) => ({
      name: variable,
      value,
      place: nowhere,
    })),
    // Labels of the image are its author's.
    labels: Object.fromEntries(
      Object.entries(labels).filter(([label, value]) => container.imageLabels?.[label] !== value),
    ),
    command,
    mounts: container.mounts.map((mount) => toMount(mount, volumes)),
    privileged: container.privileged === true,
    securityOptions: container.securityOptions ?? [],
    place: nowhere,
    container,
    service: undefined,
  };
}

/** Equal for a service of a file and the containers that run it. */
export function keyOf(stack: string | undefined, service: string | undefined, name: string): string {
  return stack === undefined || service === undefined ? name : `${stack}/${service}`;
}

function toMount(mount: ContainerMount, volumes: readonly AuditedVolume[]): AuditedMount {
  const { type, source, destination, readOnly, propagation, memoryOptions } = mount;
  const volume = type === 'volume' ? volumes.find(({ name }) => name === source) : undefined;
  const words = (memoryOptions ?? '').split(',');
  return {
    type,
    source,
    isAnonymous: volume?.isAnonymous === true,
    volume,
    target: cleanPath(destination),
    readOnly,
    propagation: type === 'bind' ? propagation : undefined,
    memory:
      type === 'tmpfs'
        ? { hasSize: words.some((word) => word.startsWith('size=')), mayExecute: words.includes('exec') }
        : undefined,
    place: nowhere,
  };
}

/** The files of variables that Compose was given for a container. Pure. */
export function envFilesOf(container: Container): string[] {
  const noted = ownLabels(container)['com.docker.compose.project.environment_file'] ?? '';
  return noted.split(',').filter((file) => file.startsWith('/'));
}

/** The files that Compose made a container from; none where another program did. Pure. */
export function composeFilesOf(container: Container): string[] {
  return ownLabels(container)['com.docker.compose.project.config_files']?.split(',') ?? [];
}
