import { AppError } from './errors.ts';
import { mountError, type BindMount, type Mount, type VolumeMount } from './mount.ts';
import { quote } from './quote.ts';
import { parseSize } from './size.ts';

/** The fields of a `--mount` text so far. */
export interface MountDraft {
  type: string;
  source?: string;
  target?: string;
  readOnly?: boolean;
  consistency?: string;
  propagation?: string;
  recursive?: string;
  createSource?: boolean;
  subpath?: string;
  noCopy?: boolean;
  driver?: string;
  sizeBytes?: number;
  mode?: number;
  readonly labels: Map<string, string>;
  readonly options: Map<string, string>;
  /** The types that the options given belong to: `bind` for `bind-propagation`. */
  readonly families: Set<string>;
}

export function newDraft(): MountDraft {
  return { type: 'volume', labels: new Map(), options: new Map(), families: new Set() };
}

const flags: ReadonlySet<string> = new Set([
  'readonly',
  'ro',
  'volume-nocopy',
  'bind-nonrecursive',
  'bind-create-src',
]);

/** Takes one `key=value` of `--mount` into the draft. */
export function readField(draft: MountDraft, field: string): void {
  const equals = field.indexOf('=');
  const written = equals === -1 ? field : field.slice(0, equals);
  const value = equals === -1 ? undefined : field.slice(equals + 1);
  checkSpace(field, { key: written, value });
  const key = written.toLowerCase();
  if (value === undefined && !flags.has(key)) {
    throw new AppError('usage', `invalid field '${field}' must be a key=value pair`);
  }
  const set = setters.get(key);
  if (set === undefined) throw new AppError('usage', `unknown option '${key}' in '${field}'`);
  // `bind-recursive=enabled` states the default: it does not turn a volume into a bind mount.
  if (/^(?:bind|volume|tmpfs|image)-/.test(key) && !(key === 'bind-recursive' && value === 'enabled')) {
    draft.families.add(key.slice(0, key.indexOf('-')));
  }
  set(draft, value ?? 'true', key);
}

function checkSpace(field: string, { key, value }: { key: string; value: string | undefined }): void {
  const trimmed = key.trim();
  if (trimmed !== key) {
    throw new AppError(
      'usage',
      `invalid option '${trimmed}' in '${field}': option should not have whitespace`,
    );
  }
  if (value === undefined) return;
  if (value.trim() === '') throw new AppError('usage', `invalid value for '${key}': value is empty`);
  if (value.trim() !== value) {
    throw new AppError('usage', `invalid value for '${key}' in '${field}': value should not have whitespace`);
  }
}

type Setter = (draft: MountDraft, value: string, key: string) => void;

const setSource: Setter = (draft, value) => {
  draft.source = value;
};
const setTarget: Setter = (draft, value) => {
  draft.target = value;
};
const setReadOnly: Setter = (draft, value, key) => {
  draft.readOnly = readBoolean(value, key);
};
const setSubpath: Setter = (draft, value) => {
  draft.subpath = value;
};

const setters: ReadonlyMap<string, Setter> = new Map<string, Setter>([
  ['type', (draft, value) => void (draft.type = value.toLowerCase())],
  ['source', setSource],
  ['src', setSource],
  ['target', setTarget],
  ['dst', setTarget],
  ['destination', setTarget],
  ['readonly', setReadOnly],
  ['ro', setReadOnly],
  ['consistency', (draft, value) => void (draft.consistency = value.toLowerCase())],
  ['bind-propagation', (draft, value) => void (draft.propagation = value.toLowerCase())],
  ['bind-recursive', (draft, value, key) => void (draft.recursive = readRecursive(value, key))],
  ['bind-create-src', (draft, value, key) => void (draft.createSource = readBoolean(value, key))],
  ['bind-nonrecursive', refuseNonRecursive],
  ['volume-subpath', setSubpath],
  ['image-subpath', setSubpath],
  ['volume-nocopy', (draft, value, key) => void (draft.noCopy = readBoolean(value, key))],
  ['volume-driver', (draft, value) => void (draft.driver = value)],
  ['volume-label', (draft, value) => putPair(draft.labels, value)],
  ['volume-opt', (draft, value) => putPair(draft.options, value)],
  ['tmpfs-size', (draft, value, key) => void (draft.sizeBytes = readSize(value, key))],
  ['tmpfs-mode', (draft, value, key) => void (draft.mode = readMode(value, key))],
]);

function refuseNonRecursive(): never {
  throw new AppError('usage', 'bind-nonrecursive is deprecated, use bind-recursive=disabled instead');
}

function readBoolean(value: string, key: string): boolean {
  if (value === 'true' || value === '1') return true;
  if (value === 'false' || value === '0') return false;
  throw new AppError(
    'usage',
    `invalid value for '${key}': invalid boolean value (${quote(value)}): must be one of "true", "1", "false", or "0" (default "true")`,
  );
}

function readRecursive(value: string, key: string): string {
  if (['enabled', 'disabled', 'writable', 'readonly'].includes(value)) return value;
  throw new AppError(
    'usage',
    `invalid value for ${key}: ${value} (must be "enabled", "disabled", "writable", or "readonly")`,
  );
}

function readSize(value: string, key: string): number {
  try {
    return parseSize(value);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError('usage', `invalid value for ${key}: ${value}`, { cause: error });
  }
}

function readMode(value: string, key: string): number {
  const mode = /^[0-7]+$/.test(value) ? Number.parseInt(value, 8) : Number.NaN;
  if (!(mode <= 0xffff_ffff)) throw new AppError('usage', `invalid value for ${key}: ${value}`);
  return mode;
}

function putPair(map: Map<string, string>, text: string): void {
  const equals = text.indexOf('=');
  const key = equals === -1 ? text : text.slice(0, equals);
  if (key !== '') map.set(key, equals === -1 ? '' : text.slice(equals + 1));
}

/** Checks that the Docker CLI makes before it asks the engine. */
export function checkDraft({ type, families, recursive, readOnly, propagation }: MountDraft): void {
  for (const family of ['bind', 'volume', 'image', 'tmpfs']) {
    if (family !== type && families.has(family)) {
      throw new AppError('usage', `cannot mix '${family}-*' options with mount type '${type}'`);
    }
  }
  if ((recursive === 'writable' || recursive === 'readonly') && readOnly !== true) {
    throw requires(`bind-recursive=${recursive}`, 'readonly');
  }
  if (recursive === 'readonly' && propagation !== 'rprivate') {
    throw requires('bind-recursive=readonly', 'bind-propagation=rprivate');
  }
}

function requires(option: string, other: string): AppError {
  return new AppError('usage', `option '${option}' requires '${other}' to be specified in conjunction`);
}

/** The mount that the draft describes, without the engine's own checks. */
export function buildMount(draft: MountDraft): Mount {
  const base = {
    target: draft.target ?? '',
    readOnly: draft.readOnly ?? false,
    ...(draft.consistency !== undefined && { consistency: draft.consistency }),
  };
  const source = draft.source ?? '';
  const subpath = draft.subpath === undefined ? {} : { subpath: draft.subpath };
  switch (draft.type) {
    case 'volume':
      return { type: 'volume', ...base, ...subpath, ...volumeFields(draft) };
    case 'bind':
      return { type: 'bind', source, ...base, ...bindFields(draft) };
    case 'image':
      return { type: 'image', source, ...base, ...subpath };
    case 'npipe':
    case 'cluster':
      return { type: draft.type, source, ...base };
    case 'tmpfs':
      if (source !== '') throw mountError('tmpfs', 'field Source must not be specified');
      return {
        type: 'tmpfs',
        ...base,
        options: [],
        // The engine takes 0 for "not given".
        ...(draft.sizeBytes !== undefined && draft.sizeBytes > 0 && { sizeBytes: draft.sizeBytes }),
        ...(draft.mode !== undefined && draft.mode > 0 && { mode: draft.mode }),
      };
    default:
      throw mountError(draft.type, 'mount type unknown');
  }
}

type FieldsOf<T> = Omit<T, 'type' | 'target' | 'readOnly' | 'consistency' | 'subpath' | 'source'> &
  (T extends VolumeMount ? Pick<T, 'source'> : object);

function volumeFields(draft: MountDraft): FieldsOf<VolumeMount> {
  return {
    ...(draft.source !== undefined && { source: draft.source }),
    noCopy: draft.noCopy ?? false,
    ...(draft.driver !== undefined && { driver: draft.driver }),
    options: Object.fromEntries(draft.options),
    labels: Object.fromEntries(draft.labels),
  };
}

function bindFields(draft: MountDraft): FieldsOf<BindMount> {
  const { recursive, propagation } = draft;
  return {
    createSource: draft.createSource ?? false,
    ...(propagation !== undefined && { propagation }),
    ...((recursive === 'disabled' || recursive === 'writable' || recursive === 'readonly') && { recursive }),
  };
}
