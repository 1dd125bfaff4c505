/** Controls, line separators, formatting (bidirectional marks among it), private use, and unassigned characters. */
const invisible = /[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * Lines for a terminal: what controls it, reorders what it shows or is invisible is shown as an escape, and only the ends
 * of lines and tabs stay. For whole texts, whatever was put into them. Pure.
 */
export function printableLines(text: string): string {
  return text.replace(invisible, (character) =>
    character === '\n' || character === '\t' ? character : escaped(character),
  );
}

/** A field that is one line whatever is in it. Pure. */
export function printableField(text: string): string {
  return text.replace(invisible, escaped);
}

/** A JSON document without the same characters: outside of its texts there are none but the ends of lines. Pure. */
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
