import { parseCsvRecord } from './csv-record.ts';
import { resolvePath } from './clean-path.ts';
import { AppError } from './errors.ts';
import { checkMount, type Mount } from './mount.ts';
import { buildMount, checkDraft, newDraft, readField } from './mount-draft.ts';
import type { MountPathOptions } from './mount-short.ts';

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
