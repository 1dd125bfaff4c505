import type { ByteString } from './byte-string.ts';
import { AppError } from './errors.ts';
import { quote } from './quote.ts';

/** A pattern for one name of a path: literal text, or steps. */
export type Glob = string | readonly Step[];

/** One character of a name, or `star`: any run of characters. */
type Step = 'star' | 'any' | CharacterClass | { readonly literal: string };

interface CharacterClass {
  readonly negated: boolean;
  readonly ranges: readonly (readonly [first: number, last: number])[];
}

/** Compiles `*`, `?`, `[a-z]`, `[^a-z]` and `\` before a literal character. `whole` is for messages. */
export function compileGlob(name: string, whole: string): Glob {
  if (!/[*?[\\]/.test(name)) return name;
  const steps: Step[] = [];
  const characters = Array.from(name);
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? '';
    if (character === '*') {
      if (steps.at(-1) !== 'star') steps.push('star');
    } else if (character === '?') steps.push('any');
    else if (character === '[') {
      const { step, end } = readClass(characters, at, whole);
      steps.push(step);
      at = end;
    } else if (character === '\\') {
      at += 1;
      steps.push({ literal: escaped(characters, at, whole) });
    } else steps.push({ literal: character });
  }
  return steps;
}

/**
 * True when the whole of `name` matches. The time is bounded by the product of the lengths: on a mismatch
 * only the last `*` need take one more character.
 */
export function matchesGlob(glob: Glob, name: string): boolean {
  if (typeof glob === 'string') return glob === name;
  let step = 0;
  let at = 0;
  let resumeStep = -1;
  let resumeAt = 0;
  while (at < name.length) {
    const current = glob[step];
    const code = name.codePointAt(at) ?? 0;
    if (current === 'star') {
      resumeStep = ++step;
      resumeAt = at;
    } else if (current !== undefined && matchesStep(current, code)) {
      step += 1;
      at += code > 0xffff ? 2 : 1;
    } else if (resumeStep === -1) {
      return false;
    } else {
      resumeAt += (name.codePointAt(resumeAt) ?? 0) > 0xffff ? 2 : 1;
      step = resumeStep;
      at = resumeAt;
    }
  }
  while (glob[step] === 'star') step += 1;
  return step === glob.length;
}

/** A name as text for matching: UTF-8 where valid, otherwise one character per byte. */
export function nameText(name: ByteString): string {
  if (!/[\x80-\xff]/.test(name)) return name;
  const text = Buffer.from(name, 'latin1').toString('utf8');
  return text.includes('\ufffd') ? name : text;
}

function matchesStep(step: Exclude<Step, 'star'>, code: number): boolean {
  if (step === 'any') return true;
  if ('literal' in step) return step.literal.codePointAt(0) === code;
  return step.ranges.some(([first, last]) => first <= code && code <= last) !== step.negated;
}

function readClass(
  characters: readonly string[],
  open: number,
  whole: string,
): { step: CharacterClass; end: number } {
  const negated = characters[open + 1] === '^' || characters[open + 1] === '!';
  const ranges: [number, number][] = [];
  let at = open + (negated ? 2 : 1);
  while (ranges.length === 0 || characters[at] !== ']') {
    const first = classCharacter(characters, at, whole);
    at = first.end;
    let last = first.code;
    if (characters[at] === '-' && characters[at + 1] !== ']') {
      const upper = classCharacter(characters, at + 1, whole);
      last = upper.code;
      at = upper.end;
    }
    if (last < first.code) throw malformed(whole, 'a range in "[…]" runs backwards');
    ranges.push([first.code, last]);
  }
  return { step: { negated, ranges }, end: at };
}

function classCharacter(
  characters: readonly string[],
  at: number,
  whole: string,
): { code: number; end: number } {
  const isEscape = characters[at] === '\\';
  const character = characters[isEscape ? at + 1 : at];
  if (character === undefined) throw malformed(whole, 'a "[" is never closed');
  return { code: character.codePointAt(0) ?? 0, end: at + (isEscape ? 2 : 1) };
}

function escaped(characters: readonly string[], at: number, whole: string): string {
  const character = characters[at];
  if (character === undefined) throw malformed(whole, 'it ends in "\\"');
  return character;
}

function malformed(whole: string, reason: string): AppError {
  return new AppError('usage', `Cannot read pattern ${quote(whole)}: ${reason}`);
}
