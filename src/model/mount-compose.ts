import { resolvePath } from './clean-path.ts';
import { parseComposeLongMount } from './mount-compose-long.ts';
import { AppError } from './errors.ts';
import {
  propagations,
  sameMount,
  type BindMount,
  type Mount,
  type SelinuxLabel,
  type VolumeMount,
} from './mount.ts';
import { quote } from './quote.ts';

export interface ComposePathOptions {
  /** The project's directory: what `./data` is relative to. Without it such a source is kept as it is. */
  readonly directory?: string | undefined;
  /** What `~` stands for. Without it such a source is kept as it is. */
  readonly home?: string | undefined;
}

/**
 * One entry of a service's `volumes` in a Compose file, in either syntax. Refuses what `docker compose config` refuses;
 * `checkMount` says what the engine would refuse besides.
 */
export function parseComposeMount(entry: unknown, options: ComposePathOptions = {}): Mount {
  const mount = typeof entry === 'string' ? parseComposeShortMount(entry) : parseComposeLongMount(entry);
  return mount.type === 'bind' ? { ...mount, source: resolveSource(mount.source, options) } : mount;
}

/** Compose's short syntax: `[SOURCE:]TARGET[:MODE,…]`. Modes that it does not know are ignored, as Compose does. */
export function parseComposeShortMount(spec: string): Mount {
  if (spec === '') throw new AppError('usage', 'invalid empty volume spec');
  // Compose takes one and two bytes for a target, even `::`.
  if (Buffer.byteLength(spec) <= 2) return volumeMount({ target: spec, modes: [] });
  const sections = splitSections(spec);
  if (sections.slice(0, 3).includes('')) throw specError(spec, 'empty section between colons');
  if (sections.length > 3) throw specError(spec, 'too many colons');
  const [first = '', second, modeText] = sections;
  const modes = modeText?.split(',') ?? [];
  if (second === undefined) return volumeMount({ target: first, modes });
  return isPath(first)
    ? bindMount(first, { target: second, modes })
    : volumeMount({ source: first, target: second, modes });
}

/** Compose's short form of a mount; `unsupported` for one that it cannot say. */
export function formatComposeShortMount(mount: Mount): string {
  const text = mount.type === 'bind' || mount.type === 'volume' ? write(mount) : undefined;
  if (text === undefined || !readsAs(text, mount)) {
    throw new AppError(
      'unsupported',
      `Cannot write the mount at ${quote(mount.target)} in the short syntax of Compose`,
      { hint: 'Use the long syntax, which can say more.' },
    );
  }
  return text;
}

/** Sections between colons, save those of `${VARIABLE:-default}` and of a Windows drive (`C:\data`). */
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

function bindMount(
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

/** Compose drops the modes that are for bind mounts, with a warning. */
function volumeMount({ source, target, modes }: VolumeParts): VolumeMount {
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

function write(mount: BindMount | VolumeMount): string {
  const modes = [
    ...(mount.readOnly ? ['ro'] : []),
    ...(mount.type === 'volume' && mount.noCopy ? ['nocopy'] : []),
    ...(mount.type === 'bind' ? [mount.selinux, mount.propagation] : []),
  ].filter((mode) => mode !== undefined);
  const source = mount.source === undefined ? [] : [mount.source];
  return [...source, mount.target, ...(modes.length === 0 ? [] : [modes.join(',')])].join(':');
}

function readsAs(text: string, mount: Mount): boolean {
  try {
    return sameMount(parseComposeShortMount(text), mount);
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}

function specError(spec: string, reason: string): AppError {
  return new AppError('usage', `invalid spec: ${spec}: ${reason}`);
}
