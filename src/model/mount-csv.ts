import { resolvePath } from './clean-path.ts';
import { AppError } from './errors.ts';
import { buildMount, checkDraft, newDraft, readField } from './mount-draft.ts';
import type { MountPathOptions } from './mount-short.ts';
import { checkMount, type Mount } from './mount.ts';

/** A mount in the syntax of `docker run --mount`: `type=bind,src=/srv,dst=/data,readonly`, one CSV record. */
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

/**
 * The fields of the first record of a CSV text, by the rules of Go's encoding/csv, which `--mount` uses: a
 * field that starts with `"` ends at the closing `"`, with `""` for one inside; a `"` anywhere else is an
 * error.
 */
export function parseCsvRecord(text: string): string[] {
  const source = skipEmptyLines(normalizeLines(text));
  const fields: string[] = [];
  for (let at = 0; ;) {
    const field = source[at] === '"' ? quotedField(source, at) : plainField(source, at);
    fields.push(field.value);
    if (source[field.end] !== ',') return fields;
    at = field.end + 1;
  }
}

interface Field {
  readonly value: string;
  /** The position of the comma, newline or end after the field. */
  readonly end: number;
}

/** Lines end in `\n` or `\r\n`, and a lone `\r` before the end is dropped. */
function normalizeLines(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(/\r$/, '');
}

function skipEmptyLines(text: string): string {
  return text.replace(/^\n+/, '');
}

function plainField(source: string, start: number): Field {
  let end = start;
  while (end < source.length && source[end] !== ',' && source[end] !== '\n') {
    if (source[end] === '"') throw csvError(source, end, 'bare " in non-quoted-field');
    end += 1;
  }
  return { value: source.slice(start, end), end };
}

function quotedField(source: string, start: number): Field {
  let value = '';
  let at = start + 1;
  for (;;) {
    const close = source.indexOf('"', at);
    if (close === -1) throw csvError(source, source.length, misplacedQuote);
    value += source.slice(at, close);
    if (source[close + 1] !== '"') {
      const next = source[close + 1];
      if (next !== undefined && next !== ',' && next !== '\n') throw csvError(source, close, misplacedQuote);
      return { value, end: close + 1 };
    }
    value += '"';
    at = close + 2;
  }
}

const misplacedQuote = 'extraneous or missing " in quoted-field';

function csvError(source: string, at: number, reason: string): AppError {
  const before = source.slice(0, at).split('\n');
  const column = Buffer.byteLength(before.at(-1) ?? '') + 1;
  const record = before.length > 1 ? 'record on line 1; ' : '';
  return new AppError('usage', `${record}parse error on line ${before.length}, column ${column}: ${reason}`);
}
