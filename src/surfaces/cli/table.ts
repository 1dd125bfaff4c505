import { printableField } from '../../model/quote.ts';

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly align?: 'left' | 'right';
}

/** Lines with aligned columns under upper-case titles, three spaces between them, as Docker's tables. */
export function formatTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const cells = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((column) => printableField(column.value(row)))),
  ];
  const widths = columns.map((_, index) =>
    cells.reduce((widest, line) => Math.max(widest, widthOf(line[index] ?? '')), 0),
  );
  return cells
    .map((line) =>
      line
        .map((cell, index) =>
          pad(cell, { width: widths[index] ?? 0, align: columns[index]?.align ?? 'left' }),
        )
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}

function pad(cell: string, options: { readonly width: number; readonly align: 'left' | 'right' }): string {
  const space = ' '.repeat(options.width - widthOf(cell));
  return options.align === 'right' ? space + cell : cell + space;
}

/** Columns on a terminal: two for wide characters, none for combining marks. */
function widthOf(text: string): number {
  // oxlint-disable-next-line no-control-regex -- all of ASCII is meant
  if (/^[\x00-\x7f]*$/.test(text)) return text.length;
  let width = 0;
  for (const character of text) {
    if (/\p{Mark}/u.test(character)) continue;
    width +=
      /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uff01-\uff60]/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return width;
}
