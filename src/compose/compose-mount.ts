import { resolvePath } from '../model/clean-path.ts';
import {
  flagOf,
  invalidField,
  labelsOf,
  refuseUnknown,
  type Section,
  sectionAt,
  sectionOf,
  textOf,
  valueOf,
  wholeNumberOf,
} from './compose-fields.ts';
import { AppError } from '../model/errors.ts';
import {
  type BindMount,
  type ImageMount,
  type Mount,
  mountError,
  mountTypes,
  propagations,
  sameMount,
  type SelinuxLabel,
  type TmpfsMount,
  type VolumeMount,
} from '../model/mount.ts';
import { quote } from '../model/quote.ts';
import { parseSize } from '../model/size.ts';

export interface ComposePathOptions {
  /** The project's directory, which `./data` is relative to. Without it such a source is kept as it is. */
  readonly directory?: string | undefined;
  /** What `~` expands to. Without it such a source is kept as it is. */
  readonly home?: string | undefined;
}

/**
 * One entry of a service's `volumes` in a Compose file, in either syntax. Refuses what `docker compose
 * config` refuses; `checkMount` also checks what the engine refuses.
 */
export function parseComposeMount(entry: unknown, options: ComposePathOptions = {}): Mount {
  const mount = typeof entry === 'string' ? parseComposeShortMount(entry) : parseComposeLongMount(entry);
  return mount.type === 'bind' ? { ...mount, source: resolveSource(mount.source, options) } : mount;
}

/** Compose's short syntax: `[SOURCE:]TARGET[:MODE,…]`. Ignores unknown modes, as Compose does. */
export function parseComposeShortMount(spec: string): Mount {
  if (spec === '') throw new AppError('usage', 'invalid empty volume spec');
  // Compose takes a text of one or two bytes for a target, even `::`.
  if (Buffer.byteLength(spec) <= 2) return shortVolumeMount({ target: spec, modes: [] });
  const sections = splitSections(spec);
  if (sections.slice(0, 3).includes('')) throw specError(spec, 'empty section between colons');
  if (sections.length > 3) throw specError(spec, 'too many colons');
  const [first = '', second, modeText] = sections;
  const modes = modeText?.split(',') ?? [];
  if (second === undefined) return shortVolumeMount({ target: first, modes });
  return isPath(first)
    ? shortBindMount(first, { target: second, modes })
    : shortVolumeMount({ source: first, target: second, modes });
}

/** Splits at colons, but not inside `${VARIABLE:-default}` or after a Windows drive (`C:\data`). */
function splitSections(spec: string): string[] {
  const sections: string[] = [];
  let section = '';
  let depth = 0;
  const characters = Array.from(spec);
  for (const [index, character] of characters.entries()) {
    if (character === '$' && characters[index + 1] === '{') depth += 1;
    else if (character === '}' && depth > 0) depth -= 1;
    const ends = character === ':' && depth === 0 && !/^\p{L}$/u.test(section);
    if (ends) sections.push(section);
    section = ends ? '' : section + character;
  }
  if (depth > 0) throw specError(spec, '"${" is never closed');
  return [...sections, section];
}

function isPath(source: string): boolean {
  return /^(?:[./~]|\\\\|\p{L}:)/u.test(source);
}

function resolveSource(source: string, { directory, home }: ComposePathOptions): string {
  if (home !== undefined && (source === '~' || source.startsWith('~/')))
    return resolvePath(`.${source.slice(1)}`, home);
  return directory !== undefined && source.startsWith('.') ? resolvePath(source, directory) : source;
}

function shortBindMount(
  source: string,
  { target, modes }: { target: string; modes: readonly string[] },
): BindMount {
  const propagation = modes.findLast((mode) => propagations.includes(mode));
  const selinux = modes.findLast((mode): mode is SelinuxLabel => mode === 'z' || mode === 'Z');
  return {
    type: 'bind',
    source,
    target,
    readOnly: isReadOnly(modes),
    createSource: true,
    ...(propagation !== undefined && { propagation }),
    ...(selinux !== undefined && { selinux }),
  };
}

interface VolumeParts {
  readonly source?: string;
  readonly target: string;
  readonly modes: readonly string[];
}

/** Compose drops the modes of bind mounts, with a warning. */
function shortVolumeMount({ source, target, modes }: VolumeParts): VolumeMount {
  return {
    type: 'volume',
    ...(source !== undefined && { source }),
    target,
    readOnly: isReadOnly(modes),
    noCopy: modes.includes('nocopy'),
    options: {},
    labels: {},
  };
}

function isReadOnly(modes: readonly string[]): boolean {
  return modes.findLast((mode) => mode === 'ro' || mode === 'rw') === 'ro';
}

function specError(spec: string, reason: string): AppError {
  return new AppError('usage', `invalid spec: ${spec}: ${reason}`);
}

/** A mount in Compose's long syntax, ready for YAML or JSON. */
export interface ComposeMount {
  readonly type: Mount['type'];
  readonly source?: string;
  readonly target: string;
  readonly read_only?: boolean;
  readonly consistency?: string;
  readonly bind?: {
    readonly propagation?: string;
    readonly create_host_path?: boolean;
    readonly recursive?: string;
    readonly selinux?: string;
  };
  readonly volume?: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly nocopy?: boolean;
    readonly subpath?: string;
  };
  readonly tmpfs?: { readonly size?: number; readonly mode?: number };
  readonly image?: { readonly subpath?: string };
}

/** Compose's long syntax, as a YAML or JSON parser returns it. Ignores keys that start with `x-`. */
export function parseComposeLongMount(value: unknown): Mount {
  const entry = sectionOf(value, 'the mount');
  refuseUnknown(entry, [
    'type',
    'source',
    'target',
    'read_only',
    'consistency',
    'bind',
    'volume',
    'tmpfs',
    'image',
  ]);
  const type = textOf(entry, 'type');
  if (type === undefined) throw new AppError('usage', 'type is required');
  if (!isMountType(type)) throw mountError(type, 'mount type unknown');
  const target = textOf(entry, 'target') ?? '';
  if (target === '') throw mountError(type, 'field Target must not be empty');
  const consistency = textOf(entry, 'consistency');
  const base: Base = {
    target,
    readOnly: flagOf(entry, 'read_only') ?? false,
    ...(consistency !== undefined && { consistency }),
  };
  const source = textOf(entry, 'source') ?? '';
  if (type === 'tmpfs') return tmpfsMount(entry, { base, source });
  if (type === 'volume') return volumeMount(entry, { base, source });
  if (source === '') throw mountError(type, 'field Source must not be empty');
  if (type === 'bind') return bindMount(entry, { base, source });
  if (type === 'image') return imageMount(entry, { base, source });
  return { type, source, ...base };
}

/** Compose's long form of a mount; `unsupported` for one that it cannot express. */
export function formatComposeLongMount(mount: Mount): ComposeMount {
  const value: ComposeMount = {
    type: mount.type,
    ...(mount.type !== 'tmpfs' && mount.source !== undefined && { source: mount.source }),
    target: mount.target,
    ...(mount.readOnly && { read_only: true }),
    ...(mount.consistency !== undefined && { consistency: mount.consistency }),
    ...typeFields(mount),
  };
  if (!readsAs(value, mount)) {
    throw new AppError(
      'unsupported',
      `Cannot write the mount at ${quote(mount.target)} in the syntax of Compose`,
      {
        hint:
          mount.type === 'volume'
            ? 'A volume’s driver and options belong to the "volumes" of the whole file.'
            : undefined,
      },
    );
  }
  return value;
}

type Base = Pick<Mount, 'target' | 'readOnly' | 'consistency'>;

interface Common {
  readonly base: Base;
  readonly source: string;
}

function isMountType(type: string): type is Mount['type'] {
  return (mountTypes as readonly string[]).includes(type);
}

function bindMount(entry: Section, { base, source }: Common): BindMount {
  const bind = sectionAt(entry, 'bind');
  refuseUnknown(bind, ['propagation', 'create_host_path', 'recursive', 'selinux']);
  const propagation = textOf(bind, 'propagation');
  const recursive = textOf(bind, 'recursive');
  const selinux = textOf(bind, 'selinux');
  if (recursive !== undefined && !['enabled', 'disabled', 'writable', 'readonly'].includes(recursive)) {
    throw invalidField('recursive', 'must be one of "enabled", "disabled", "writable" or "readonly"');
  }
  if (selinux !== undefined && selinux !== 'z' && selinux !== 'Z')
    throw invalidField('selinux', 'must be "z" or "Z"');
  return {
    type: 'bind',
    source,
    ...base,
    // The default of current Compose. Older versions made no directory, so the formatter always writes it.
    createSource: flagOf(bind, 'create_host_path') ?? true,
    ...(propagation !== undefined && propagation !== '' && { propagation }),
    ...((recursive === 'disabled' || recursive === 'writable' || recursive === 'readonly') && { recursive }),
    ...(selinux !== undefined && { selinux }),
  };
}

function volumeMount(entry: Section, { base, source }: Common): VolumeMount {
  const volume = sectionAt(entry, 'volume');
  refuseUnknown(volume, ['labels', 'nocopy', 'subpath']);
  const subpath = textOf(volume, 'subpath');
  return {
    type: 'volume',
    ...(source !== '' && { source }),
    ...base,
    noCopy: flagOf(volume, 'nocopy') ?? false,
    ...(subpath !== undefined && subpath !== '' && { subpath }),
    options: {},
    labels: labelsOf(valueOf(volume, 'labels')),
  };
}

function tmpfsMount(entry: Section, { base, source }: Common): TmpfsMount {
  if (source !== '') throw mountError('tmpfs', 'field Source must not be specified');
  const tmpfs = sectionAt(entry, 'tmpfs');
  refuseUnknown(tmpfs, ['size', 'mode']);
  const sizeBytes = wholeNumberOf(tmpfs, { key: 'size', read: parseSize });
  const mode = wholeNumberOf(tmpfs, { key: 'mode', read: parseOctal });
  return {
    type: 'tmpfs',
    ...base,
    options: [],
    ...(sizeBytes !== undefined && sizeBytes > 0 && { sizeBytes }),
    ...(mode !== undefined && mode > 0 && { mode }),
  };
}

function imageMount(entry: Section, { base, source }: Common): ImageMount {
  const image = sectionAt(entry, 'image');
  refuseUnknown(image, ['subpath']);
  const subpath = textOf(image, 'subpath');
  return { type: 'image', source, ...base, ...(subpath !== undefined && subpath !== '' && { subpath }) };
}

function typeFields(mount: Mount): Partial<ComposeMount> {
  if (mount.type === 'bind') {
    const { propagation, recursive, selinux, createSource } = mount;
    const bind = {
      ...(propagation !== undefined && { propagation }),
      create_host_path: createSource,
      ...(recursive !== undefined && { recursive }),
      ...(selinux !== undefined && { selinux }),
    };
    return { bind };
  }
  if (mount.type === 'volume') {
    const volume = {
      ...(Object.keys(mount.labels).length > 0 && { labels: mount.labels }),
      ...(mount.noCopy && { nocopy: true }),
      ...(mount.subpath !== undefined && { subpath: mount.subpath }),
    };
    return Object.keys(volume).length === 0 ? {} : { volume };
  }
  if (mount.type === 'tmpfs') {
    const tmpfs = {
      ...(mount.sizeBytes !== undefined && { size: mount.sizeBytes }),
      ...(mount.mode !== undefined && { mode: mount.mode }),
    };
    return Object.keys(tmpfs).length === 0 ? {} : { tmpfs };
  }
  return mount.type === 'image' && mount.subpath !== undefined ? { image: { subpath: mount.subpath } } : {};
}

function readsAs(value: ComposeMount, mount: Mount): boolean {
  try {
    return sameMount(parseComposeLongMount(value), mount);
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}

function parseOctal(value: string): number {
  if (!/^(?:0o?)?[0-7]{1,10}$/.test(value))
    throw invalidField('mode', 'must be an octal number such as "0700"');
  return Number.parseInt(value.replace(/^0o?/, '0'), 8);
}
