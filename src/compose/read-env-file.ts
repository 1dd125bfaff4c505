import type { Position } from '../model/finding.ts';
import { CannotFillIn, fillIn, type Lookup } from './fill-in.ts';
import type { LoadLimits } from './load-limits.ts';
import { broken } from './parse-yaml.ts';

export interface EnvValue {
  readonly value: string;
  readonly at: Position;
}

/**
 * Reads a file of variables (`.env`, `env_file`) as Compose does: quotes, comments, `export`, escapes between
 * double quotes, variables of `lookup` and of the lines above. Throws `usage` with `FILE:LINE:COLUMN`.
 */
export function readEnvFile(
  content: string,
  { file, lookup, limits }: { readonly file: string; readonly lookup: Lookup; readonly limits: LoadLimits },
): Map<string, EnvValue> {
  const found = new Map<string, EnvValue>();
  const known: Lookup = (name) => lookup(name) ?? found.get(name)?.value;
  const text = content.replace(/^\uFEFF/, '');
  let [at, line, counted] = [0, 1, 0];
  const place = (): Position => {
    for (let end = text.indexOf('\n', counted); end !== -1 && end < at; end = text.indexOf('\n', counted)) {
      line += 1;
      counted = end + 1;
    }
    return { file, line, column: 1 };
  };
  const skip = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const matched = pattern.exec(text)?.[0] ?? '';
    at += matched.length;
    return matched;
  };
  const expand = (value: string, here: Position): string => {
    try {
      return fillIn(value, { lookup: known, limits });
    } catch (error) {
      throw error instanceof CannotFillIn ? broken(here, error.message) : error;
    }
  };
  for (skip(blanks); at < text.length; skip(blanks)) {
    limits.value();
    if (text[at] === '#') {
      skip(line_);
      continue;
    }
    const here = place();
    skip(exported);
    const key = skip(keyCharacters);
    const end = text[at] ?? '\n';
    if (!['=', ':', '\n'].includes(end))
      throw broken(here, `unexpected character ${JSON.stringify(end)} in variable name`);
    const name = key.trimEnd();
    at += 1;
    if (/\s/.test(name)) throw broken(here, 'key cannot contain a space');
    if (end === '\n') {
      const value = lookup(name);
      if (value !== undefined) found.set(name, { value, at: here });
      continue;
    }
    skip(spaces);
    const quoted = text[at];
    if (quoted !== '"' && quoted !== "'") {
      const raw = skip(line_);
      found.set(name, { value: expand(raw.replace(/ #[^]*$/, '').trimEnd(), here), at: here });
      continue;
    }
    const inner = skip(quoted === '"' ? doubleQuoted : singleQuoted);
    if (inner === '') throw broken(here, 'unterminated quoted value');
    const value = inner.slice(1, -1).replaceAll(`\\${quoted}`, quoted);
    found.set(name, { value: quoted === '"' ? expand(unescaped(value), here) : value, at: here });
  }
  return found;
}

const blanks = /\s*/y;
const spaces = /[^\S\n]*/y;
const line_ = /[^\n]*/y;
const exported = /export[^\S\n]+/y;
const keyCharacters = /(?:[\p{L}\p{N}_.\-[\]]|[^\S\n])*/uy;
const doubleQuoted = /"(?:[^"\\]|\\[^])*"/y;
const singleQuoted = /'(?:[^'\\]|\\[^])*'/y;

const escapes: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  c: '\\c',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '"': '"',
  '\\': '\\',
  // Filled in afterwards, as a dollar.
  $: '$$',
};

function unescaped(value: string): string {
  return value.replace(/\\(?:0(\d{3})|([abcfnrtv$"\\]))/g, (all, octal: string | undefined, name: string) => {
    if (octal === undefined) return escapes[name] ?? all;
    const code = Number.parseInt(octal, 8);
    return /^[0-3][0-7]{2}$/.test(octal) ? String.fromCharCode(code) : all;
  });
}
