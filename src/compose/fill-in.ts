import type { LoadLimits } from './load-limits.ts';

/** What a variable is; undefined when it is not set. */
export type Lookup = (name: string) => string | undefined;

/** Thrown for a text that cannot be filled in, with Compose's words. */
export class CannotFillIn extends Error {}

export interface FillInOptions {
  readonly lookup: Lookup;
  readonly limits: LoadLimits;
  /** Told of each variable that is not set and has no default. */
  readonly unset?: ((name: string) => void) | undefined;
}

const mostNested = 50;
const head = /\$(?:(\$)|([_a-z][_a-z0-9]*)|\{(?:([_a-z][_a-z0-9]*)(\}|:?[-+?])?)?)/iy;

/**
 * Fills the variables in: `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:?error}`, `${NAME:+other}` and the
 * same without the colon, nested; `$$` is a dollar. What was filled in is not looked at again.
 */
export function fillIn(text: string, options: FillInOptions, depth = 0): string {
  if (!text.includes('$')) return text;
  if (depth > mostNested) throw new CannotFillIn(`variables are nested deeper than ${mostNested} levels`);
  const parts: string[] = [];
  const add = (part: string): void => {
    options.limits.characters(part.length);
    parts.push(part);
  };
  let from = 0;
  for (let at = text.indexOf('$'); at !== -1; at = text.indexOf('$', from)) {
    add(text.slice(from, at));
    head.lastIndex = at;
    const found = head.exec(text);
    if (found === null) {
      add('$');
      from = at + 1;
      continue;
    }
    const [whole, dollar, plain, braced, after] = found;
    from = at + whole.length;
    const name = plain ?? (after === '}' ? braced : undefined);
    if (dollar !== undefined) add('$');
    else if (name !== undefined) add(valueOf(name, options));
    else {
      const end = braced === undefined || after === undefined ? -1 : closingBrace(text, at);
      if (end === -1) throw invalid();
      add(choose(braced ?? '', { operator: after ?? '', rest: text.slice(from, end), depth }, options));
      from = end + 1;
    }
  }
  add(text.slice(from));
  return parts.join('');
}

/** Braces are counted as Compose counts them; a default ends in its line. */
function closingBrace(text: string, start: number): number {
  const lineEnd = text.indexOf('\n', start);
  const end = lineEnd === -1 ? text.length : lineEnd;
  let open = 0;
  for (let at = start; at < end; at++) {
    if (text[at] === '}' && --open === 0) return at;
    if (text[at] === '{') {
      open += 1;
      // Compose does not look at the character after a brace.
      at += 1;
    }
  }
  // With too many opening braces, the last closing one counts.
  const last = text.lastIndexOf('}', end - 1);
  return last > start ? last : -1;
}

function valueOf(name: string, { lookup, unset }: FillInOptions): string {
  const value = lookup(name);
  if (value === undefined) unset?.(name);
  return value ?? '';
}

interface Choice {
  readonly operator: string;
  readonly rest: string;
  readonly depth: number;
}

function choose(name: string, { operator, rest, depth }: Choice, options: FillInOptions): string {
  // Compose fills the other text in even where it is not used, with its errors.
  const other = fillIn(rest, options, depth + 1);
  const value = options.lookup(name);
  const isThere = value !== undefined && (value !== '' || !operator.startsWith(':'));
  if (operator.endsWith('+')) return isThere ? other : (value ?? '');
  if (isThere) return value;
  if (operator.endsWith('-')) return other;
  const reason = other === '' ? '' : `: ${other}`;
  throw new CannotFillIn(`required variable ${name} is missing a value${reason}`);
}

/** Without the text: a password that holds a dollar is what this is about as a rule, and messages end up in logs. */
function invalid(): CannotFillIn {
  return new CannotFillIn('invalid interpolation format. You may need to escape any $ with another $');
}
