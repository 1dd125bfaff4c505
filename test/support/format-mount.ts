import { parseComposeShortMount } from '../../src/compose/compose-mount.ts';
import { AppError } from '../../src/model/errors.ts';
import { parseCsvMount } from '../../src/model/mount-csv.ts';
import { parseShortMount } from '../../src/model/mount-short.ts';
import { parseTmpfsMount } from '../../src/model/mount-tmpfs.ts';
import {
  sameMount,
  type BindMount,
  type Mount,
  type TmpfsMount,
  type VolumeMount,
} from '../../src/model/mount.ts';
import { quote } from '../../src/model/quote.ts';

/** The `-v` form of a mount; `unsupported` for one that `-v` cannot express. */
export function formatShortMount(mount: Mount): string {
  const text = mount.type === 'bind' || mount.type === 'volume' ? shortForm(mount) : undefined;
  if (text === undefined || !readsAs(text, mount, parseShortMount)) {
    throw new AppError(
      'unsupported',
      `Cannot write the mount at ${quote(mount.target)} in the form of "-v"`,
      {
        hint: 'Use "--mount", which can say more.',
      },
    );
  }
  return text;
}

/** The `--mount` form of a mount; `unsupported` for one that `--mount` cannot express. */
export function formatCsvMount(mount: Mount): string {
  const text = formatCsvRecord(fieldsOf(mount));
  if (!readsAs(text, mount, parseCsvMount)) {
    throw new AppError(
      'unsupported',
      `Cannot write the mount at ${quote(mount.target)} in the form of "--mount"`,
    );
  }
  return text;
}

/** The `--tmpfs` form of a mount; `unsupported` for one that `--tmpfs` cannot express. */
export function formatTmpfsMount(mount: TmpfsMount): string {
  const words = [
    ...(mount.readOnly ? ['ro'] : []),
    ...(mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`]),
    ...(mount.mode === undefined ? [] : [`mode=${mount.mode.toString(8)}`]),
    ...mount.options,
  ];
  const text = words.length === 0 ? mount.target : `${mount.target}:${words.join(',')}`;
  if (!readsAs(text, mount, parseTmpfsMount)) {
    throw new AppError(
      'unsupported',
      `Cannot write the mount at ${quote(mount.target)} in the form of "--tmpfs"`,
    );
  }
  return text;
}

/** Compose's short form of a mount; `unsupported` for one that it cannot express. */
export function formatComposeShortMount(mount: Mount): string {
  const text = mount.type === 'bind' || mount.type === 'volume' ? composeShortForm(mount) : undefined;
  if (text === undefined || !readsAs(text, mount, parseComposeShortMount)) {
    throw new AppError(
      'unsupported',
      `Cannot write the mount at ${quote(mount.target)} in the short syntax of Compose`,
      { hint: 'Use the long syntax, which can say more.' },
    );
  }
  return text;
}

/** One CSV record, which `parseCsvRecord` reads back as `fields`. */
export function formatCsvRecord(fields: readonly string[]): string {
  return fields
    .map((field) => (/[",\r\n]|^\s/.test(field) ? `"${field.replaceAll('"', '""')}"` : field))
    .join(',');
}

function shortForm(mount: BindMount | VolumeMount): string {
  const modes = [
    mount.readOnly ? 'ro' : undefined,
    mount.selinux,
    mount.type === 'bind' ? mount.propagation : undefined,
    mount.type === 'volume' && mount.noCopy ? 'nocopy' : undefined,
    mount.consistency,
  ].filter((mode) => mode !== undefined);
  const mode = modes.length === 0 ? [] : [modes.join(',')];
  return [...(mount.source === undefined ? [] : [mount.source]), mount.target, ...mode].join(':');
}

function composeShortForm(mount: BindMount | VolumeMount): string {
  const modes = [
    ...(mount.readOnly ? ['ro'] : []),
    ...(mount.type === 'volume' && mount.noCopy ? ['nocopy'] : []),
    ...(mount.type === 'bind' ? [mount.selinux, mount.propagation] : []),
  ].filter((mode) => mode !== undefined);
  const source = mount.source === undefined ? [] : [mount.source];
  return [...source, mount.target, ...(modes.length === 0 ? [] : [modes.join(',')])].join(':');
}

function fieldsOf(mount: Mount): string[] {
  const fields = [`type=${mount.type}`];
  const add = (key: string, value: string | undefined) => {
    if (value !== undefined) fields.push(`${key}=${value}`);
  };
  if (mount.type !== 'tmpfs') add('source', mount.source);
  add('target', mount.target);
  if (mount.readOnly) fields.push('readonly');
  add('consistency', mount.consistency);
  if (mount.type === 'bind') {
    add('bind-propagation', mount.propagation);
    add('bind-recursive', mount.recursive);
    if (mount.createSource) fields.push('bind-create-src');
  } else if (mount.type === 'volume') {
    add('volume-subpath', mount.subpath);
    if (mount.noCopy) fields.push('volume-nocopy');
    add('volume-driver', mount.driver);
    for (const [key, value] of Object.entries(mount.options)) add('volume-opt', `${key}=${value}`);
    for (const [key, value] of Object.entries(mount.labels)) add('volume-label', `${key}=${value}`);
  } else if (mount.type === 'tmpfs') {
    add('tmpfs-size', mount.sizeBytes?.toString());
    add('tmpfs-mode', mount.mode?.toString(8));
  } else if (mount.type === 'image') {
    add('image-subpath', mount.subpath);
  }
  return fields;
}

/**
 * Parses the text again to find what the form cannot express: a name with a colon, a value with space at its
 * ends, a key with `=`.
 */
function readsAs(text: string, mount: Mount, parse: (text: string) => Mount): boolean {
  try {
    return sameMount(parse(text), mount);
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}
