import { AppError } from './errors.ts';

const named: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

/**
 * `text` in double quotes with all unprintable characters escaped, as in Docker's messages. Safe to print on
 * a terminal.
 */
export function quote(text: string): string {
  return `"${text.replace(/["\\]|[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu, escapeCharacter)}"`;
}

function escapeCharacter(character: string): string {
  const name = named[character];
  if (name !== undefined) return name;
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x80) return `\\x${hex(code, 2)}`;
  // A lone surrogate stands for bytes that were not UTF-8.
  if (code >= 0xd800 && code <= 0xdfff) return '\ufffd';
  return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}

/** Controls, line separators, formatting (bidirectional marks among it), private use, and unassigned characters. */
const invisible = /[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * Text for a terminal: control, reordering and invisible characters are escaped, except line ends and tabs.
 * For whole texts with any content. Pure.
 */
export function printableLines(text: string): string {
  return text.replace(invisible, (character) =>
    character === '\n' || character === '\t' ? character : escaped(character),
  );
}

/** A field that always stays on one line. Pure. */
export function printableField(text: string): string {
  return text.replace(invisible, escaped);
}

/** A JSON document with the same characters escaped: outside of strings it has none but line ends. Pure. */
export function printableJson(document: string): string {
  return document.replace(invisible, (character) =>
    character === '\n' ? character : character.replace(/[^]/g, escapedUnit),
  );
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : escapedUnit(character);
}

function escapedUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A command as it can be pasted into a shell. Pure. */
export function shellLine(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(' ');
}

/**
 * The words of a command line: split at blanks, with '…' and "…" kept together and \ escaping the next
 * character. Nothing is expanded.
 */
export function splitWords(command: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quoted: string | undefined;
  for (let at = 0; at < command.length; at++) {
    const character = command[at] ?? '';
    if (character === quoted) quoted = undefined;
    else if (character === '\\' && quoted !== "'" && at + 1 < command.length)
      word = (word ?? '') + (command[++at] ?? '');
    else if (quoted !== undefined) word += character;
    else if (character === '"' || character === "'") {
      quoted = character;
      word ??= '';
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + character;
  }
  if (quoted !== undefined) throw new AppError('usage', `A quote (${quoted}) in the command is not closed`);
  if (word !== undefined) words.push(word);
  return words;
}
