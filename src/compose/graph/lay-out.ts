import { textWidth } from '../../model/text-width.ts';
import type { GraphPlace, GraphVolume, StorageGraph } from './storage-graph.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** A class of the drawing. */
  readonly kind: string;
  readonly title: string;
  readonly more: string;
  readonly rows: readonly { readonly text: string; readonly tag: string; readonly y: number }[];
}

export interface Wire {
  readonly points: readonly [Point, ...Point[]];
  readonly isReadOnly: boolean;
}

export interface Column {
  readonly title: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly columns: readonly Column[];
  readonly boxes: readonly Box[];
  readonly wires: readonly Wire[];
}

const margin = 20;
const headHeight = 44;
const padding = 18;
const between = 14;
const gap = 110;
const rowHeight = 26;
const leastWidth = 150;
/** Longer texts are cut in the middle: both ends of a path say something. */
const mostCharacters = 64;

/** An item of a column before it has its place. A slot lets a wire pass. */
interface Item {
  readonly id: string;
  readonly height: number;
  readonly width: number;
  readonly isSlot: boolean;
}

/**
 * Three columns, each in the order in which its wires cross least: every item goes to the mean of what it is
 * connected with, back and forth a few times (Sugiyama's method). A bind mount passes the middle column in a slot
 * of its own. Pure.
 */
export function layOut(graph: StorageGraph): Layout {
  const services = graph.services.map((service) => ({
    ...service,
    rows: service.mounts.map(({ target, readOnly }) => ({
      text: shortened(target),
      tag: readOnly ? 'read only' : '',
    })),
  }));
  const links = linksOf(graph);
  const columns = ordered(
    [
      graph.places.map(({ id, label, isMissing }) => item(id, [label], isMissing ? 52 : 36)),
      [
        ...graph.volumes.map((volume) =>
          item(volume.id, [volume.label, moreOf(volume)], moreOf(volume) === '' ? 36 : 52),
        ),
        ...links.slots.map((id): Item => ({ id, height: 6, width: 0, isSlot: true })),
      ],
      services.map(({ id, label, image, rows }) =>
        item(
          id,
          [label, image ?? '', ...rows.map(({ text, tag }) => `${text}${tag === '' ? '' : `   ${tag}`}`)],
          headOf(image) + rows.length * rowHeight + (rows.length === 0 ? 0 : 6),
        ),
      ),
    ],
    links,
  );
  return place(graph, columns, links);
}

/** The first text is bold. In DejaVu Sans, the widest of the fonts, few texts take more for a character than this. */
function item(id: string, texts: readonly string[], height: number): Item {
  const widths = texts.map((text, index) => textWidth(shortened(text)) * (index === 0 ? 9.2 : 7.7));
  return { id, height, width: Math.max(leastWidth, Math.ceil(Math.max(...widths)) + 30), isSlot: false };
}

function headOf(image: string | undefined): number {
  return image === undefined ? 36 : 52;
}

function moreOf({ driver, kind }: GraphVolume): string {
  const words = [kind === 'external' ? 'external' : '', driver === 'local' ? '' : driver];
  return words.filter((word) => word !== '').join(', ');
}

function shortened(text: string): string {
  const characters = Array.from(text);
  if (characters.length <= mostCharacters) return text;
  const half = Math.floor((mostCharacters - 1) / 2);
  return `${characters.slice(0, half).join('')}…${characters.slice(-half).join('')}`;
}

interface Link {
  readonly from: string;
  readonly to: string;
  /** Which row of a service; 0 for others. */
  readonly row: number;
  readonly isReadOnly: boolean;
}

interface Links {
  /** Between neighbouring columns. */
  readonly all: readonly Link[];
  readonly slots: readonly string[];
}

function linksOf(graph: StorageGraph): Links {
  const all: Link[] = graph.volumes.map(({ id, place: from }) => ({
    from,
    to: id,
    row: 0,
    isReadOnly: false,
  }));
  const slots: string[] = [];
  const volumes = new Set(graph.volumes.map(({ id }) => id));
  for (const { id, mounts } of graph.services)
    for (const [row, { from, readOnly: isReadOnly }] of mounts.entries()) {
      if (volumes.has(from)) {
        all.push({ from, to: id, row, isReadOnly });
        continue;
      }
      const slot = `${id} slot ${row}`;
      slots.push(slot);
      all.push({ from, to: slot, row: 0, isReadOnly }, { from: slot, to: id, row, isReadOnly });
    }
  return { all, slots };
}

type Columns = readonly (readonly Item[])[];

const sweeps = 8;

function ordered(columns: Columns, { all }: Links): Columns {
  const byFrom = Map.groupBy(all, ({ from }) => from);
  const byTo = Map.groupBy(all, ({ to }) => to);
  let now = columns;
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const order = sweep % 2 === 0 ? [1, 2] : [1, 0];
    for (const at of order) {
      const beside = now[sweep % 2 === 0 ? at - 1 : at + 1] ?? [];
      const positions = new Map(beside.map(({ id }, index) => [id, index]));
      const column = now[at] ?? [];
      const means = new Map(
        column.map(({ id }, index) => {
          // Rows of one service are in its order.
          const above = (byFrom.get(id) ?? []).map(({ to, row }) => (positions.get(to) ?? NaN) + row / 1000);
          const below = (byTo.get(id) ?? []).map(({ from }) => positions.get(from) ?? NaN);
          return [id, meanOf([...above, ...below].filter((value) => !Number.isNaN(value))) ?? index];
        }),
      );
      now = now.with(
        at,
        column.toSorted((a, b) => (means.get(a.id) ?? 0) - (means.get(b.id) ?? 0)),
      );
    }
  }
  return now;
}

function meanOf(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}

const titles = ['Host', 'Volumes', 'Containers'] as const;

function place(graph: StorageGraph, columns: Columns, { all }: Links): Layout {
  const heights = columns.map(
    (column) =>
      column.reduce((sum, { height }) => sum + height, 0) + Math.max(0, column.length - 1) * between,
  );
  const inner = Math.max(...heights, 60);
  const widths = columns.map((column) => Math.max(leastWidth, ...column.map(({ width }) => width)));
  const spots = new Map<string, { x: number; y: number; width: number; height: number; isSlot: boolean }>();
  const frames: Column[] = [];
  let x = margin;
  for (const [at, column] of columns.entries()) {
    const width = widths[at] ?? leastWidth;
    frames.push({
      title: titles[at] ?? '',
      x,
      y: margin,
      width: width + 2 * padding,
      height: inner + headHeight + padding,
    });
    // What is left over is shared out, so that short columns stand beside the long one.
    const spare = (inner - (heights[at] ?? 0)) / (column.length + 1);
    let y = margin + headHeight + (column.length === 0 ? 0 : spare);
    for (const { id, height, isSlot } of column) {
      spots.set(id, { x: x + padding, y, width, height, isSlot });
      y += height + between + spare;
    }
    x += width + 2 * padding + gap;
  }
  const services = new Map(graph.services.map((service) => [service.id, service]));
  const end = (id: string, side: 'left' | 'right', row: number): Point => {
    const spot = spots.get(id);
    if (spot === undefined) return { x: 0, y: 0 };
    const service = services.get(id);
    const y = service === undefined ? spot.y + spot.height / 2 : rowOf(spot.y, service.image, row);
    const overhang = spot.isSlot ? padding : 0;
    return { x: side === 'left' ? spot.x - overhang : spot.x + spot.width + overhang, y };
  };
  const into = new Map(all.map((link) => [link.to, link]));
  const wires = all.flatMap((link): Wire[] => {
    const { from, to, row, isReadOnly } = link;
    if (spots.get(to)?.isSlot === true) return [];
    const before = spots.get(from)?.isSlot === true ? into.get(from) : undefined;
    const last = end(to, 'left', row);
    if (before === undefined) return [{ points: [end(from, 'right', 0), last], isReadOnly }];
    const points: [Point, ...Point[]] = [
      end(before.from, 'right', 0),
      end(from, 'left', 0),
      end(from, 'right', 0),
      last,
    ];
    return [{ points, isReadOnly }];
  });
  return {
    width: x - gap + margin,
    height: inner + headHeight + padding + 2 * margin,
    columns: frames,
    boxes: boxesOf(graph, spots),
    wires,
  };
}

function rowOf(y: number, image: string | undefined, row: number): number {
  return y + headOf(image) + row * rowHeight + 14;
}

function boxesOf(
  graph: StorageGraph,
  spots: ReadonlyMap<string, { x: number; y: number; width: number; height: number }>,
): Box[] {
  const at = (id: string): Pick<Box, 'x' | 'y' | 'width' | 'height'> =>
    spots.get(id) ?? { x: 0, y: 0, width: 0, height: 0 };
  return [
    ...graph.places.map((found): Box => ({ ...at(found.id), ...placeWords(found), rows: [] })),
    ...graph.volumes.map((found): Box => ({
      ...at(found.id),
      kind: found.kind,
      title: shortened(found.label),
      more: moreOf(found),
      rows: [],
    })),
    ...graph.services.map(({ id, label, image, mounts }): Box => {
      const spot = at(id);
      const rows = mounts.map(({ target, readOnly }, row) => ({
        text: shortened(target),
        tag: readOnly ? 'read only' : '',
        y: rowOf(spot.y, image, row),
      }));
      return { ...spot, kind: 'service', title: shortened(label), more: shortened(image ?? ''), rows };
    }),
  ];
}

function placeWords({ kind, label, isMissing }: GraphPlace): Pick<Box, 'kind' | 'title' | 'more'> {
  return {
    kind: isMissing ? `${kind} missing` : kind,
    title: shortened(label),
    more: isMissing ? 'missing' : '',
  };
}
