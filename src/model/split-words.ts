import { AppError } from './errors.ts';

/** The words of a command line: split at blanks, with '…' and "…" kept together and \ taking the next character as it is. Nothing is expanded. */
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
