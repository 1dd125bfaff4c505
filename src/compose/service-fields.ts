import { cleanPath } from '../model/clean-path.ts';
import { splitWords } from '../model/quote.ts';
import { AppError } from '../model/errors.ts';
import { parseTmpfsMount } from '../model/mount-tmpfs.ts';
import { flagOf, type Section, sectionOf, textOf, valueOf } from './compose-fields.ts';
import { parseComposeMount } from './compose-mount.ts';
import type {
  ComposeBuild,
  ComposeDependency,
  ComposeGrant,
  ComposeHealthcheck,
  ComposePath,
  ComposeService,
} from './compose-project.ts';
import { fieldOf, type Placed, type PlacedMap, plainOf, positionIn, textOfScalar } from './placed.ts';
import type { ProjectFiles } from './project-files.ts';

/** Reads a service of the merged model, in the long syntax. What Compose refuses is reported and left out. */
export function readService(name: string, service: PlacedMap, files: ProjectFiles): ComposeService {
  const path = ['services', name] as const;
  const raw = plainOf(service) as Section;
  /** Reads one value; an error of its reader becomes a problem with its place. */
  const read = <T>(step: ComposePath, reader: () => T): T | undefined => {
    try {
      return reader();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const at = [...path, ...step];
      // The schema has said it already.
      if (files.isRefused(at)) return undefined;
      files.report('error', `${at.join('.')}: ${error.message}`, at, positionIn(service, step));
      return undefined;
    }
  };
  const text = (key: string): string | undefined => read([key], () => textOf(raw, key));
  const flag = (key: string): boolean => read([key], () => flagOf(raw, key)) ?? false;
  const texts = (key: string): string[] => read([key], () => textListOf(raw, key)) ?? [];
  /** Each entry of a list, with its place. */
  const each = <T>(key: string, reader: (entry: Placed, at: ComposePath) => T): T[] => {
    const list = fieldOf(service, key);
    if (list === undefined || (list.kind === 'scalar' && list.value === null)) return [];
    if (list.kind !== 'list') {
      read([key], () => refuse(`${key} must be a list`));
      return [];
    }
    return list.items.flatMap((entry, index) => {
      const value = read([key, index], () => reader(entry, [...path, key, index]));
      return value === undefined ? [] : [value];
    });
  };
  return {
    name,
    path,
    image: text('image'),
    build: read(['build'], () => buildOf(raw)),
    containerName: text('container_name'),
    user: text('user'),
    environment: read(['environment'], () => environmentOf(fieldOf(service, 'environment'))) ?? new Map(),
    command: read(['command'], () => commandOf(raw, 'command')),
    entrypoint: read(['entrypoint'], () => commandOf(raw, 'entrypoint')),
    mounts: each('volumes', (entry, at) => {
      const mount = parseComposeMount(plainOf(entry));
      const written = (entry.kind === 'map' && entry.written) || entry;
      return {
        mount: { ...mount, target: cleanPath(mount.target) },
        raw: plainOf(written),
        path: at,
        position: entry.at,
      };
    }),
    tmpfs: each('tmpfs', (entry, at) => {
      const spec = plainText(entry, 'tmpfs');
      return { mount: parseTmpfsMount(spec), raw: spec, path: at, position: entry.at };
    }),
    volumesFrom: each('volumes_from', (entry, at) => {
      const spec = plainText(entry, 'volumes_from');
      const isContainer = spec.startsWith('container:');
      const [of = '', mode] = (isContainer ? spec.slice('container:'.length) : spec).split(':');
      const kind = isContainer ? ('container' as const) : ('service' as const);
      return { kind, name: of, readOnly: mode === 'ro', path: at, position: entry.at };
    }),
    dependsOn: read(['depends_on'], () => dependenciesOf(raw)) ?? new Map(),
    networkMode: text('network_mode'),
    pid: text('pid'),
    ipc: text('ipc'),
    usernsMode: text('userns_mode'),
    privileged: flag('privileged'),
    readOnly: flag('read_only'),
    securityOpt: texts('security_opt'),
    capAdd: texts('cap_add'),
    capDrop: texts('cap_drop'),
    devices: each('devices', (entry) => deviceOf(plainOf(entry))),
    restart: text('restart'),
    labels: read(['labels'], () => labelMap(fieldOf(service, 'labels'))) ?? {},
    configs: each('configs', (entry, at) => grantOf(entry, { at, folder: '' })),
    secrets: each('secrets', (entry, at) => grantOf(entry, { at, folder: '/run/secrets' })),
    profiles: texts('profiles'),
    healthcheck: read(['healthcheck'], () => healthcheckOf(raw)),
    extensions: extensionsOf(raw),
    raw,
  };
}

/** The `x-*` of a mapping. */
export function extensionsOf(raw: Section): Section {
  return Object.fromEntries(Object.entries(raw).filter(([key]) => key.startsWith('x-')));
}

function refuse(reason: string): never {
  throw new AppError('usage', reason);
}

function plainText(entry: Placed, key: string): string {
  return entry.kind === 'scalar' && typeof entry.value === 'string'
    ? entry.value
    : refuse(`${key} must be texts`);
}

function textListOf(raw: Section, key: string): string[] {
  const value = valueOf(raw, key) ?? [];
  if (!Array.isArray(value)) refuse(`${key} must be a list`);
  return (value as unknown[]).map((item) =>
    typeof item === 'string' || typeof item === 'number' ? String(item) : refuse(`${key} must be texts`),
  );
}

/** A text is split into words as a shell would, without expanding anything. */
function commandOf(raw: Section, key: string): string[] | undefined {
  const value = valueOf(raw, key);
  if (value === undefined) return undefined;
  return typeof value === 'string' ? splitWords(firstCommand(value)) : textListOf(raw, key);
}

/** Compose starts no shell, and drops without a word what comes after the first `;`, `&`, `|`, `<` or `>`. */
function firstCommand(text: string): string {
  // Quoted and escaped ones belong to a word.
  const parts = text.matchAll(
    /\\[^]|'[^']*'|"(?:\\[^]|[^"\\])*"|(?<end>(?<=\s|^)\d[^\s;&|<>'"\\]*>|[;&|<>])/g,
  );
  for (const { groups, index } of parts) if (groups?.['end'] !== undefined) return text.slice(0, index);
  return text;
}

function environmentOf(environment: Placed | undefined): Map<string, string | undefined> {
  if (environment === undefined || (environment.kind === 'scalar' && environment.value === null))
    return new Map();
  if (environment.kind !== 'map') return refuse('environment must be a mapping or a list');
  return new Map(
    [...environment.entries].map(([key, { value }]) => {
      if (value.kind !== 'scalar')
        return refuse(`environment.${key} must be a string, number, boolean or null`);
      return [key, value.value === null ? undefined : textOfScalar(value)];
    }),
  );
}

export function labelMap(labels: Placed | undefined): Record<string, string> {
  return Object.fromEntries([...environmentOf(labels)].map(([key, value]) => [key, value ?? '']));
}

function buildOf(raw: Section): ComposeBuild | undefined {
  const build = valueOf(raw, 'build');
  if (build === undefined) return undefined;
  const entry = sectionOf(build, 'build');
  return {
    context: textOf(entry, 'context') ?? '.',
    dockerfile: textOf(entry, 'dockerfile'),
    dockerfileInline: textOf(entry, 'dockerfile_inline'),
    target: textOf(entry, 'target'),
  };
}

const conditions = ['service_started', 'service_healthy', 'service_completed_successfully'] as const;

function dependenciesOf(raw: Section): Map<string, ComposeDependency> {
  const entries = Object.entries(sectionOf(valueOf(raw, 'depends_on') ?? {}, 'depends_on'));
  return new Map(
    entries.map(([name, value]) => {
      const entry = sectionOf(value, name);
      const text = textOf(entry, 'condition') ?? 'service_started';
      const condition = conditions.find((known) => known === text);
      if (condition === undefined) return refuse(`${name}.condition must be one of ${conditions.join(', ')}`);
      const [restart, required] = [flagOf(entry, 'restart') ?? false, flagOf(entry, 'required') ?? true];
      return [name, { condition, restart, required }];
    }),
  );
}

function deviceOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const entry = sectionOf(value, 'the device');
  const source = textOf(entry, 'source') ?? '';
  return [source, textOf(entry, 'target') ?? source, textOf(entry, 'permissions') ?? 'rwm'].join(':');
}

function grantOf(grant: Placed, { at, folder }: { at: ComposePath; folder: string }): ComposeGrant {
  const entry = sectionOf(plainOf(grant), 'the grant');
  const source = textOf(entry, 'source') ?? refuse('source is required');
  const target = textOf(entry, 'target') ?? source;
  const mode = valueOf(entry, 'mode');
  const bits = typeof mode === 'string' && /^0?[0-7]+$/.test(mode) ? Number.parseInt(mode, 8) : mode;
  if (bits !== undefined && typeof bits !== 'number') refuse('mode must be an octal number');
  return {
    source,
    destination: target.startsWith('/') ? target : `${folder}/${target}`,
    uid: textOf(entry, 'uid'),
    gid: textOf(entry, 'gid'),
    mode: bits,
    path: at,
    position: grant.at,
  };
}

function healthcheckOf(raw: Section): ComposeHealthcheck | undefined {
  const value = valueOf(raw, 'healthcheck');
  if (value === undefined) return undefined;
  const entry = sectionOf(value, 'healthcheck');
  const test = valueOf(entry, 'test');
  const words = typeof test === 'string' ? ['CMD-SHELL', test] : commandOf(entry, 'test');
  const [first] = words ?? [];
  if (first !== undefined && !['CMD', 'CMD-SHELL', 'NONE'].includes(first))
    refuse('healthcheck.test must start either by "CMD", "CMD-SHELL" or "NONE"');
  return { test: words, disabled: (flagOf(entry, 'disable') ?? false) || first === 'NONE' };
}
