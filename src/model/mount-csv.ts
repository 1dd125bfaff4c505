import { formatCsvRecord, parseCsvRecord } from './csv-record.ts';
import { resolvePath } from './clean-path.ts';
import { AppError } from './errors.ts';
import { checkMount, sameMount, type Mount } from './mount.ts';
import { buildMount, checkDraft, newDraft, readField } from './mount-draft.ts';
import type { MountPathOptions } from './mount-short.ts';
import { quote } from './quote.ts';

/** A mount as `docker run --mount` takes it: `type=bind,src=/srv,dst=/data,readonly`, one CSV record. */
export function parseCsvMount(text: string, { directory }: MountPathOptions = {}): Mount {
  const trimmed = text.trim();
  if (trimmed === '') throw new AppError('usage', 'value is empty');
  const draft = newDraft();
  for (const field of parseCsvRecord(trimmed)) readField(draft, field);
  checkDraft(draft);
  if (directory !== undefined && draft.source?.startsWith('.') === true) {
    draft.source = resolvePath(draft.source, directory);
  }
  const mount = buildMount(draft);
  checkMount(mount);
  return mount;
}

/** The `--mount` form of a mount; `unsupported` for one that `--mount` cannot say. */
export function formatCsvMount(mount: Mount): string {
  const text = formatCsvRecord(fieldsOf(mount));
  if (!readsAs(text, mount)) {
    throw new AppError(
      'unsupported',
      `Cannot write the mount at ${quote(mount.target)} in the form of "--mount"`,
    );
  }
  return text;
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

/** Space at the ends of a value, a line break that CSV normalises, a key with `=`: reading it back finds them all. */
function readsAs(text: string, mount: Mount): boolean {
  try {
    return sameMount(parseCsvMount(text), mount);
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}
