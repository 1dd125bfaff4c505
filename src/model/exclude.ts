import type { ByteString } from './byte-string.ts';
import { AppError } from './errors.ts';
import { compileGlob, matchesGlob, nameText, type Glob } from './glob.ts';
import { quote } from './quote.ts';

/**
 * True for a path to leave out; paths are relative to the volume's root. The root itself ('') is never left
 * out.
 */
export type ExcludeMatcher = (path: ByteString, isDirectory: boolean) => boolean;

/**
 * Patterns in the syntax of restic and .gitignore: `*.log` and `node_modules` match at any depth, `/cache`
 * only at the volume's root, `**` spans folders, `build/` matches only a folder, `!keep.log` cancels an
 * earlier pattern. Everything in an excluded folder is excluded too, and cannot be included again.
 */
export function compileExcludes(patterns: readonly string[]): ExcludeMatcher {
  const rules = patterns.filter((pattern) => pattern !== '').map(compileRule);
  if (rules.length === 0) return () => false;
  return matcherOf(rules);
}

/** The same patterns for searching: true for a path that matches itself, not for what lies below a match. */
export function compileFinder(
  patterns: readonly string[],
  options: { readonly ignoreCase?: boolean | undefined } = {},
): ExcludeMatcher {
  const folded = options.ignoreCase === true ? foldCase : (text: string): string => text;
  const rules = patterns.map((pattern) => compileRule(folded(pattern)));
  const negated = patterns[rules.findIndex((rule) => rule.negated)];
  if (negated !== undefined) {
    throw new AppError('usage', `Pattern ${quote(negated)} takes back what was found`, {
      hint: 'Write "\\!" for a name that begins with "!".',
    });
  }
  return (path, isDirectory) => {
    if (path === '') return false;
    const names = path.split('/').map((name) => folded(nameText(name)));
    return rules.some((rule) => (isDirectory || !rule.directoryOnly) && matchesParts(rule.parts, names));
  };
}

/** True when the pattern does not depend on where in the tree an entry is. */
export function isNamePattern(pattern: string): boolean {
  return !pattern.replace(/\/+$/, '').includes('/') && pattern !== '**';
}

function foldCase(text: string): string {
  return text.toLowerCase();
}

interface Rule {
  readonly negated: boolean;
  readonly directoryOnly: boolean;
  /** The parts between slashes; undefined is `**`. */
  readonly parts: readonly (Glob | undefined)[];
}

function compileRule(pattern: string): Rule {
  const negated = pattern.startsWith('!');
  const body = negated ? pattern.slice(1) : pattern;
  const names = body.split('/').filter((name) => name !== '' && name !== '.');
  if (names.length === 0 || names.includes('..')) {
    throw new AppError('usage', `Pattern ${quote(pattern)} matches nothing`, {
      hint: 'Patterns are relative to the volume’s root, like "*.log", "/cache" or "node_modules".',
    });
  }
  const parts = names.map((name) => (name === '**' ? undefined : compileGlob(name, pattern)));
  return {
    negated,
    directoryOnly: body.endsWith('/'),
    parts: body.startsWith('/') || parts[0] === undefined ? parts : [undefined, ...parts],
  };
}

function matcherOf(rules: readonly Rule[]): ExcludeMatcher {
  // A walk asks for the entries of one folder in a row, so the result for the folder is cached.
  let parent = '';
  let parentExcluded = false;
  const excluded: ExcludeMatcher = (path, isDirectory) => {
    if (path === '') return false;
    const slash = path.lastIndexOf('/');
    const folder = slash === -1 ? '' : path.slice(0, slash);
    if (folder !== parent) {
      const answer = excluded(folder, true);
      parent = folder;
      parentExcluded = answer;
    }
    return parentExcluded || lastMatch(rules, { names: path.split('/').map(nameText), isDirectory });
  };
  return excluded;
}

interface Subject {
  readonly names: readonly string[];
  readonly isDirectory: boolean;
}

function lastMatch(rules: readonly Rule[], { names, isDirectory }: Subject): boolean {
  const rule = rules.findLast(
    (candidate) => (isDirectory || !candidate.directoryOnly) && matchesParts(candidate.parts, names),
  );
  return rule !== undefined && !rule.negated;
}

/** Like `matchesGlob` for characters: on a mismatch only the last `**` need take one more name. */
function matchesParts(parts: Rule['parts'], names: readonly string[]): boolean {
  let part = 0;
  let name = 0;
  let resumePart = -1;
  let resumeName = 0;
  while (name < names.length) {
    const glob = parts[part];
    if (part < parts.length && glob === undefined) {
      resumePart = ++part;
      resumeName = name;
    } else if (glob !== undefined && matchesGlob(glob, names[name] ?? '')) {
      part += 1;
      name += 1;
    } else if (resumePart === -1) {
      return false;
    } else {
      part = resumePart;
      name = ++resumeName;
    }
  }
  // A trailing `**` matches what is below a folder, not the folder itself, but an inner one may be empty.
  return part === parts.length;
}
