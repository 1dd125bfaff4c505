import type { Rates, TopContainer, TopReport, TopVolume } from '../../app/app.ts';
import { formatLatency } from '../../model/benchmark.ts';
import { printableField } from '../../model/quote.ts';
import { amount, formatSize } from '../../model/size.ts';
import { textWidth } from '../../model/text-width.ts';
import { type Column, formatTable } from './table.ts';

/** The size of a terminal. */
export interface Screen {
  readonly rows: number;
  readonly columns: number;
}

/** What is read and written; on a screen, as much of it as fits, the busiest first. Without one, all of it. Pure. */
export function describeTop(
  { volumes, containers, pressure, notes, seconds }: TopReport,
  screen?: Screen,
): string {
  const waiting = pressure === undefined ? '' : `, waiting for I/O: ${percent(pressure)}`;
  const head = [`In ${seconds.toFixed(1)} s${waiting}`, ...notes];
  if (volumes.length === 0 && containers.length === 0)
    return [
      ...head,
      '',
      'There is no volume, and no container runs. "holdfast volume create NAME" makes a volume; --host says where else to look.',
    ].join('\n');
  const hasRoomForMore = screen === undefined || screen.rows >= 16;
  const legend =
    hasRoomForMore && volumes.some(({ how }) => how === 'shared')
      ? ['', '~ What its containers do on the disk, in equal parts among their volumes there.']
      : [];
  const fixed = head.length + legend.length + 2 * sectionLines + 1;
  const room = screen === undefined ? Number.POSITIVE_INFINITY : Math.max(2, screen.rows - fixed);
  const forContainers = Math.min(containers.length, Math.max(Math.floor(room / 2), room - volumes.length));
  const width = screen?.columns ?? Number.POSITIVE_INFINITY;
  const lines = [
    ...head,
    ...section(volumes, volumeColumns, { most: room - forContainers, width, singular: 'volume' }),
    ...section(containers, containerColumns, { most: forContainers, width, singular: 'container' }),
    ...legend,
  ];
  if (screen === undefined) return lines.join('\n');
  return lines
    .slice(0, screen.rows - 1)
    .map((line) => cut(line, width))
    .join('\n');
}

/** A blank line, the titles, and how many more there are. */
const sectionLines = 3;

function section<Row extends { readonly name: string; readonly rates: Rates | undefined }>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  { most, width, singular }: { readonly most: number; readonly width: number; readonly singular: string },
): string[] {
  if (rows.length === 0) return [];
  const shown = rows.slice(0, most);
  const left = rows.slice(shown.length);
  const isIdle = left.every(({ rates }) => rates === undefined || rates.readBytes + rates.writtenBytes === 0);
  const more =
    left.length === 0 ? [] : [`and ${amount(left.length, `${isIdle ? 'idle ' : ''}${singular}`)} more`];
  return ['', ...fittingTable(shown, columns, width).split('\n'), ...more];
}

/** What is left out, in this order, where a screen is too narrow. */
const dispensable = [['READS', 'WRITES'], ['NOTE'], ['BUSY'], ['LATENCY']];
const leastWidth = 12;

function fittingTable<Row>(rows: readonly Row[], columns: readonly Column<Row>[], width: number): string {
  for (let count = 0; ; count++) {
    const gone = dispensable.slice(0, count).flat();
    const left = columns.filter(({ title }) => !gone.includes(title));
    const table = formatTable(rows, left);
    const excess = widthOf(table) - width;
    if (excess <= 0) return table;
    // The beginning of a note says more than nothing, and that of a name more than its rates say without it.
    const isLast = count === dispensable.length;
    const shortened = left.find(({ title }) => title === (dispensable[count] ?? [columns[0]?.title])[0]);
    const isText = isLast || shortened?.title === 'NOTE';
    const longest = rows.reduce((most, row) => Math.max(most, textWidth(shortened?.value(row) ?? '')), 0);
    if (!isText || (longest - excess < leastWidth && !isLast)) continue;
    const most = Math.max(longest - excess, leastWidth);
    const shorter = left.map((column) =>
      column === shortened ? { ...column, value: (row: Row) => cut(column.value(row), most) } : column,
    );
    return formatTable(rows, shorter);
  }
}

function widthOf(table: string): number {
  return table.split('\n').reduce((most, line) => Math.max(most, textWidth(line)), 0);
}

/** The beginning of a text that is too wide, with a mark. */
function cut(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  let kept = '';
  for (const character of text) {
    if (textWidth(kept) + textWidth(character) > width - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

const volumeColumns: readonly Column<TopVolume>[] = [
  {
    title: 'VOLUME',
    value: ({ name, anonymous }) => printableField(anonymous ? `${name.slice(0, 12)} (anonymous)` : name),
  },
  ...rateColumns<TopVolume>(({ how }) => (how === 'shared' ? '~' : '')),
  {
    title: 'LATENCY',
    value: ({ latencyMs }) => (latencyMs === undefined ? '' : formatLatency(latencyMs)),
    align: 'right',
  },
  { title: 'BUSY', value: ({ busy }) => percent(busy), align: 'right' },
  { title: 'WAITING', value: ({ pressure }) => percent(pressure), align: 'right' },
  { title: 'NOTE', value: ({ note, how }) => printableField(note ?? exactly(how)) },
];

const containerColumns: readonly Column<TopContainer>[] = [
  { title: 'CONTAINER', value: ({ name }) => printableField(name) },
  ...rateColumns<TopContainer>(() => ''),
  { title: 'WAITING', value: ({ pressure }) => percent(pressure), align: 'right' },
  { title: 'NOTE', value: ({ note }) => printableField(note ?? '') },
];

function rateColumns<Row extends { readonly rates: Rates | undefined }>(
  mark: (row: Row) => string,
): Column<Row>[] {
  const column = (title: string, value: (rates: Rates) => string | undefined): Column<Row> => ({
    title,
    value: (row: Row): string => {
      const shown = row.rates === undefined ? undefined : value(row.rates);
      return shown === undefined ? '' : `${mark(row)}${shown}`;
    },
    align: 'right',
  });
  return [
    column('READ/s', ({ readBytes }) => formatSize(readBytes)),
    column('WRITE/s', ({ writtenBytes }) => formatSize(writtenBytes)),
    column('READS', ({ reads }) => reads?.toFixed(0)),
    column('WRITES', ({ writes }) => writes?.toFixed(0)),
  ];
}

function exactly(how: TopVolume['how']): string {
  return how === 'device' ? 'its own device' : how === 'network' ? 'its own mount' : '';
}

function percent(part: number | undefined): string {
  return part === undefined ? '' : `${(part * 100).toFixed(0)}%`;
}
