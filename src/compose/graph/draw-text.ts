import { printableField } from '../../model/quote.ts';
import { textWidth } from '../../model/text-width.ts';
import type { GraphPlace, GraphService, GraphVolume, StorageGraph } from './storage-graph.ts';

/** One line of the drawing: where the data lies, through which volume, and where it is mounted. */
interface Row {
  readonly place: string;
  readonly volume: string;
  readonly target: string;
}

const nothing = 'keeps nothing outside of itself';

/**
 * The graph for a terminal: a box for each service, and a line for each of its mounts; a list where that is wider
 * than `width`, since a drawing whose lines wrap cannot be read. Pure.
 */
export function drawText(graph: StorageGraph, width = Infinity): string {
  if (graph.services.length === 0) return 'The project has no services.';
  const known: Known = {
    places: new Map(graph.places.map((found) => [found.id, found])),
    volumes: new Map(graph.volumes.map((found) => [found.id, found])),
    seen: new Map(),
  };
  const boxes = graph.services.map((service) => ({ service, rows: rowsOf(service, known) }));
  const drawn = drawBoxes(boxes);
  return drawn.some((line) => textWidth(line) > width)
    ? boxes.map((box) => listBox(box, width)).join('\n\n')
    : drawn.join('\n');
}

interface ServiceBox {
  readonly service: GraphService;
  readonly rows: readonly Row[];
}

/** Each mount on as few lines as fit: the path in the container, what it comes through, and where that lies. */
function listBox({ service, rows }: ServiceBox, width: number): string {
  const lines = rows.flatMap(({ target, volume, place }) => {
    const sources = [volume, place].filter((name) => name !== '').map((name) => `◀── ${name}`);
    const whole = `  ${[target, ...sources].join(' ')}`;
    if (textWidth(whole) <= width) return [whole];
    const below = `      ${sources.join(' ')}`;
    const rest = textWidth(below) <= width ? [below] : sources.map((source) => `      ${source}`);
    return [`  ${target}`, ...rest];
  });
  return [titleOf(service), ...(lines.length === 0 ? [`  ${nothing}`] : lines)].join('\n');
}

function drawBoxes(boxes: readonly ServiceBox[]): readonly string[] {
  const rows = boxes.flatMap(({ rows: own }) => own);
  const place = widest(['HOST', ...rows.map((row) => row.place)]);
  const volume = widest(['VOLUME', ...rows.map((row) => row.volume)]);
  const inner = widest([
    ...rows.map((row) => row.target),
    ...boxes.map(({ rows: own }) => (own.length === 0 ? nothing : '')),
    // The title stands in the frame, and two of its own lines around it.
    ...boxes.map(({ service }) => `${titleOf(service)}   `),
  ]);
  const left = ' '.repeat(place + volume + 9);
  const lines = [`${'HOST'.padEnd(place + 5)}${'VOLUME'.padEnd(volume + 4)}CONTAINER`];
  for (const { service, rows: own } of boxes) {
    const title = titleOf(service);
    lines.push(`${left}┌─ ${title} ${'─'.repeat(inner - textWidth(title) - 1)}┐`);
    if (own.length === 0) lines.push(`${left}│ ${padded(nothing, inner)} │`);
    for (const row of own) lines.push(`${wire(row, { place, volume })}│ ${padded(row.target, inner)} │`);
    lines.push(`${left}└${'─'.repeat(inner + 2)}┘`);
  }
  return lines.map((line) => line.trimEnd());
}

/** `place ───▶ volume ───▶`, or one line from the place to the container where there is no volume between. */
function wire({ place, volume }: Row, widths: { readonly place: number; readonly volume: number }): string {
  const start = `${place} ${'─'.repeat(widths.place - textWidth(place))}──`;
  const rest = widths.volume - textWidth(volume);
  return volume === '' ? `${start}${'─'.repeat(rest + 3)}──▶` : `${start}▶ ${volume} ${'─'.repeat(rest)}──▶`;
}

function titleOf({ label, image }: GraphService): string {
  return printableField(image === undefined ? label : `${label} (${image})`);
}

interface Known {
  readonly places: ReadonlyMap<string, GraphPlace>;
  readonly volumes: ReadonlyMap<string, GraphVolume>;
  /** The first service that was drawn with a volume. */
  readonly seen: Map<string, string>;
}

function rowsOf(service: GraphService, { places, volumes, seen }: Known): Row[] {
  return service.mounts.map(({ from, target, readOnly }) => {
    const volume = volumes.get(from);
    const place = places.get(volume?.place ?? from);
    const first = seen.get(from);
    if (volume !== undefined && first === undefined) seen.set(from, service.label);
    const where = place === undefined ? '' : `${place.label}${place.isMissing ? ' (missing)' : ''}`;
    return {
      place: printableField(where),
      volume: volume === undefined ? '' : printableField(nameOf(volume.label, first)),
      target: `${printableField(target)}${readOnly ? ' (ro)' : ''}`,
    };
  });
}

/** A volume that stands in the drawing already says with which service it is shared. */
function nameOf(label: string, first: string | undefined): string {
  return first === undefined ? label : `${label} (also ${first})`;
}

function widest(texts: readonly string[]): number {
  return texts.reduce((most, text) => Math.max(most, textWidth(text)), 0);
}

function padded(text: string, width: number): string {
  return text + ' '.repeat(width - textWidth(text));
}
