import { styleText } from 'node:util';

/** What a colour says, and nothing else does: the words say it too. */
export type Colour = 'red' | 'yellow' | 'green';

export type Paint = (colour: Colour, text: string) => string;

/** Colours where a terminal shows them, as NO_COLOR, FORCE_COLOR and TERM=dumb would have it. */
export function paintFor(stream: NodeJS.WriteStream): Paint {
  return (colour, text) => styleText(colour, text, { stream });
}

/** Errors and warnings by the word that they begin with. The text holds no control characters any more. */
export function paintMessage(text: string, paint: Paint): string {
  return text.replace(/^(?:(holdfast:)|Warning:)/, (word, error) =>
    paint(error === undefined ? 'yellow' : 'red', word),
  );
}

/** Each line that begins with one of these words has it in its colour. */
export function paintLines(text: string, words: Readonly<Record<string, Colour>>, paint: Paint): string {
  return text
    .split('\n')
    .map((line) => {
      const found = Object.entries(words).find(
        ([word]) => line.startsWith(word) && !/^[\w-]/.test(line.slice(word.length)),
      );
      return found === undefined ? line : paint(found[1], found[0]) + line.slice(found[0].length);
    })
    .join('\n');
}
