import { quote } from '../model/quote.ts';
import { checkComposeService } from './compose-volume.ts';
import { AppError } from '../model/errors.ts';
import type { ComposePath, ComposeProject, ComposeService } from './compose-project.ts';

export type Report = (message: string, path: ComposePath) => void;

/** What Compose refuses of a project whose parts are all readable: names that are not there, and contradictions. */
export function checkProject(project: Omit<ComposeProject, 'problems'>, report: Report): void {
  for (const service of project.services.values()) checkService(service, project, report);
  checkCycles(project.services, report);
  for (const [section, resources] of [
    ['configs', project.configs],
    ['secrets', project.secrets],
  ] as const) {
    for (const { key, external, file, environment, content } of resources.values()) {
      const given = [file, environment, ...(section === 'configs' ? [content] : [])].filter(
        (one) => one !== undefined,
      );
      const fields = section === 'configs' ? 'file|environment|content' : 'file|environment';
      const path = [section, key];
      if (given.length > 1) report(`${section}.${key}: ${fields} attributes are mutually exclusive`, path);
      if (given.length === 0 && !external && !hasDriver(project.raw, section, key))
        report(`${section}.${key}: one of ${fields} must be set`, path);
    }
  }
}

function hasDriver(raw: ComposeProject['raw'], section: string, key: string): boolean {
  const resource = (raw[section] as Record<string, Record<string, unknown> | null> | undefined)?.[key];
  return resource?.['driver'] !== undefined;
}

function checkService(
  service: ComposeService,
  project: Omit<ComposeProject, 'problems'>,
  report: Report,
): void {
  const { name, path, build, image, networkMode, raw } = service;
  const named = quote(name);
  const invalid = 'invalid compose project';
  if (
    build === undefined &&
    (image ?? '') === '' &&
    raw['build'] === undefined &&
    raw['provider'] === undefined
  )
    report(`service ${named} has neither an image nor a build context specified: ${invalid}`, path);
  if (build?.dockerfile !== undefined && build.dockerfileInline !== undefined)
    report(`service ${named} declares mutualy exclusive dockerfile and dockerfile_inline: ${invalid}`, [
      ...path,
      'build',
    ]);
  const networks = Object.keys(raw['networks'] ?? {});
  if ((networkMode ?? '') !== '' && networks.length > 0)
    report(`service ${named} declares mutually exclusive \`network_mode\` and \`networks\`: ${invalid}`, [
      ...path,
      'network_mode',
    ]);
  const known = Object.keys(project.raw['networks'] ?? {});
  for (const network of networks) {
    if (network !== 'default' && !known.includes(network))
      report(`service ${named} refers to undefined network ${network}: ${invalid}`, [
        ...path,
        'networks',
        network,
      ]);
  }
  for (const [other, { required }] of service.dependsOn) {
    if (project.services.has(other) || (project.inactiveServices.has(other) && !required)) continue;
    report(`service ${named} depends on undefined service ${quote(other)}: ${invalid}`, [
      ...path,
      'depends_on',
      other,
    ]);
  }
  const declared = new Set(project.volumes.keys());
  for (const { mount, path: at } of service.mounts) {
    try {
      checkComposeService(name, [mount], declared);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      report(error.message, at);
    }
  }
  for (const [kind, grants, resources] of [
    ['config', service.configs, project.configs],
    ['secret', service.secrets, project.secrets],
  ] as const) {
    for (const { source, path: at } of grants)
      if (!resources.has(source))
        report(`service ${named} refers to undefined ${kind} ${source}: ${invalid}`, at);
  }
  const replicas = (raw['deploy'] as { replicas?: unknown } | undefined)?.replicas;
  const scale = Number(raw['scale'] ?? replicas ?? 1);
  if (scale > 1 && service.containerName !== undefined)
    report(
      `services.${name}: can't set container_name and ${raw['scale'] === undefined ? 'deploy.replicas' : 'scale'} as container name must be unique: ${invalid}`,
      [...path, 'container_name'],
    );
}

/** Each circle of `depends_on` once. */
function checkCycles(services: ComposeProject['services'], report: Report): void {
  const done = new Set<string>();
  for (const start of services.keys()) {
    // An explicit stack: a chain may be as long as there are services.
    const way: { name: string; left: string[] }[] = [{ name: start, left: dependenciesOf(start, services) }];
    while (way.length > 0) {
      const top = way.at(-1);
      const next = top?.left.pop();
      if (next === undefined) {
        done.add(way.pop()?.name ?? '');
        continue;
      }
      const from = way.findIndex(({ name }) => name === next);
      if (from !== -1) {
        const circle = [...way.slice(from).map(({ name }) => name), next];
        report(`dependency cycle detected: ${circle.join(' -> ')}`, ['services', next, 'depends_on']);
        for (const { name } of way) done.add(name);
      } else if (!done.has(next)) way.push({ name: next, left: dependenciesOf(next, services) });
    }
  }
}

function dependenciesOf(name: string, services: ComposeProject['services']): string[] {
  return [...(services.get(name)?.dependsOn.keys() ?? [])]
    .filter((other) => services.has(other))
    .toReversed();
}
