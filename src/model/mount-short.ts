import { resolvePath } from './clean-path.ts';
import { AppError } from './errors.ts';
import {
  checkMount,
  checkMountTarget,
  mountError,
  propagations,
  type BindMount,
  type Mount,
  type SelinuxLabel,
  type VolumeMount,
} from './mount.ts';

export interface MountPathOptions {
  /** The base of a source that starts with `.`; without it such a source is left unchanged. */
  readonly directory?: string | undefined;
}

/**
 * A mount in the syntax of `docker run -v`: `[SOURCE:]TARGET[:MODE,…]`. An absolute source is a bind mount,
 * anything else a volume.
 */
export function parseShortMount(spec: string, { directory }: MountPathOptions = {}): Mount {
  const [first = '', second, third, ...rest] = spec.split(':');
  if (spec === '') throw new AppError('usage', 'invalid empty volume spec');
  if (first === '' || rest.length > 0) throw invalidSpec(spec);
  // `/path:ro` has no target: a mode needs a source before it.
  if (second !== undefined && third === undefined && parseModes(second) !== undefined)
    throw invalidSpec(spec);
  const modes = parseModes(third ?? '');
  if (modes === undefined) throw new AppError('usage', `invalid mode: ${third ?? ''}`);
  const source = second === undefined ? undefined : sourceOf(first, directory);
  return assemble(spec, { source, target: second ?? first, modes });
}

interface Modes {
  readonly access?: string;
  readonly selinux?: SelinuxLabel;
  readonly propagation?: string;
  readonly copy?: string;
  readonly consistency?: string;
}

interface Parts {
  readonly source: string | undefined;
  readonly target: string;
  readonly modes: Modes;
}

const modeKinds: readonly (readonly [keyof Modes, readonly string[]])[] = [
  ['access', ['ro', 'rw']],
  ['selinux', ['z', 'Z']],
  ['propagation', propagations],
  ['copy', ['nocopy']],
  ['consistency', ['consistent', 'cached', 'delegated']],
];

/** Undefined for an unknown mode, or a second one of its kind. */
function parseModes(text: string): Modes | undefined {
  const modes: Partial<Record<keyof Modes, string>> = {};
  for (const word of text === '' ? [] : text.split(',')) {
    const kind = modeKinds.find(([, words]) => words.includes(word))?.[0];
    if (kind === undefined || modes[kind] !== undefined) return undefined;
    modes[kind] = word;
  }
  return modes as Modes;
}

function sourceOf(text: string, directory: string | undefined): string {
  return text.startsWith('.') && directory !== undefined ? resolvePath(text, directory) : text;
}

function assemble(spec: string, { source, target, modes }: Parts): Mount {
  const isBind = source?.startsWith('/') === true;
  try {
    checkMountTarget({ type: isBind ? 'bind' : 'volume', target });
    if (isBind && modes.copy !== undefined)
      throw mountError('bind', 'field VolumeOptions must not be specified');
    if (!isBind && modes.propagation !== undefined)
      throw mountError('volume', 'field BindOptions must not be specified');
    const mount = isBind ? bindMount(source, { target, modes }) : volumeMount(source, { target, modes });
    checkMount(mount);
    return mount;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError('usage', `${invalidSpec(spec).message}: ${error.message}`, { cause: error });
  }
}

function bindMount(source: string, { target, modes }: Omit<Parts, 'source'>): BindMount {
  const { access, propagation, selinux, consistency } = modes;
  return {
    type: 'bind',
    source,
    target,
    readOnly: access === 'ro',
    createSource: true,
    ...(propagation !== undefined && { propagation }),
    ...(selinux !== undefined && { selinux }),
    ...(consistency !== undefined && { consistency }),
  };
}

function volumeMount(source: string | undefined, { target, modes }: Omit<Parts, 'source'>): VolumeMount {
  const { access, copy, selinux, consistency } = modes;
  return {
    type: 'volume',
    ...(source !== undefined && { source }),
    target,
    readOnly: access === 'ro',
    noCopy: copy !== undefined,
    options: {},
    labels: {},
    ...(selinux !== undefined && { selinux }),
    ...(consistency !== undefined && { consistency }),
  };
}

function invalidSpec(spec: string): AppError {
  return new AppError('usage', `invalid volume specification: '${spec}'`);
}
