import { printableField } from '../../model/quote.ts';
import { textWidth } from '../../model/text-width.ts';

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
    cells.reduce((widest, line) => Math.max(widest, textWidth(line[index] ?? '')), 0),
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
  const space = ' '.repeat(options.width - textWidth(cell));
  return options.align === 'right' ? space + cell : cell + space;
}
