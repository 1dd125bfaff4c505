import { styleText } from 'node:util';

/** A colour only repeats what the words say. */
export type Colour = 'red' | 'yellow' | 'green';

export type Paint = (colour: Colour, text: string) => string;

/** Colours when a terminal shows them, subject to NO_COLOR, FORCE_COLOR and TERM=dumb. */
export function paintFor(stream: NodeJS.WriteStream): Paint {
  return (colour, text) => styleText(colour, text, { stream });
}

/** Colours an error or a warning by its first word. The text holds no control characters any more. */
export function paintMessage(text: string, paint: Paint): string {
  return text.replace(/^(?:(holdfast:)|Warning:)/, (word, error) =>
    paint(error === undefined ? 'yellow' : 'red', word),
  );
}

/** Colours each line that begins with one of these words. */
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
