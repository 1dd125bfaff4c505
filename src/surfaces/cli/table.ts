import { printableField } from '../../model/quote.ts';
import { textWidth } from '../../model/text-width.ts';

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly align?: 'left' | 'right';
}

/** Lines with aligned columns under upper-case titles, three spaces between them, as Docker's tables. */
export function formatTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string {
  const given = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((column) => column.value(row))),
  ];
  // One look at a long table takes a tenth of one at each of its cells.
  const isPlain = /^[ -~]*$/.test(given.flat().join(''));
  const cells = isPlain ? given : given.map((line) => line.map(printableField));
  const widthOf = isPlain ? (cell: string): number => cell.length : textWidth;
  const widths = columns.map((_, index) =>
    cells.reduce((widest, line) => Math.max(widest, widthOf(line[index] ?? '')), 0),
  );
  return cells
    .map((line) =>
      line
        .map((cell, index) => {
          const length = (widths[index] ?? 0) - widthOf(cell) + cell.length;
          return columns[index]?.align === 'right' ? cell.padStart(length) : cell.padEnd(length);
        })
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}
