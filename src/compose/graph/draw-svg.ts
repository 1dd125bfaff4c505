import { printableField } from '../../model/quote.ts';
import { type Box, layOut, type Wire } from './lay-out.ts';
import type { StorageGraph } from './storage-graph.ts';

/** The graph as an SVG document that needs nothing else: no script, no font, no link. Light and dark. Pure. */
export function drawSvg(graph: StorageGraph): string {
  const layout = layOut(graph);
  const { width, height } = layout;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">`,
    `<title id="title">${escaped(`Where the data of ${graph.project} lies`)}</title>`,
    `<style>${style}</style>`,
    arrowHead,
    `<rect class="page" width="${width}" height="${height}"/>`,
    ...layout.columns.map(
      ({ title, x, width: columnWidth, height: columnHeight, y }) =>
        `<rect class="column" x="${x}" y="${y}" width="${columnWidth}" height="${columnHeight}" rx="14"/>` +
        `<text class="head" x="${x + columnWidth / 2}" y="${y + 27}" text-anchor="middle">${title}</text>`,
    ),
    ...layout.wires.map(drawWire),
    ...layout.boxes.map(drawBox),
    '</svg>',
    '',
  ].join('\n');
}

const arrowHead =
  '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="arrow" d="M0 0 8 4 0 8Z"/></marker></defs>';

const style = `
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1f2430}
.page{fill:#ffffff}.column{fill:#f4f6f9;stroke:#e1e5ec}.head{font-weight:600;fill:#5b6472}
.box rect{fill:#ffffff;stroke:#8b95a5;stroke-width:1.3}.box .name{font-weight:600}.box .more{font-size:11.5px;fill:#5b6472}
.named rect,.external rect,.engine rect{stroke:#2f6fd0;fill:#eef4fd}.anonymous rect{stroke:#c77d0a;fill:#fdf5e6}
.memory rect{stroke:#8452c4;fill:#f6f0fd}.server rect,.device rect,.elsewhere rect{stroke:#16836f;fill:#eaf7f4}
.missing rect{stroke:#cf3535;fill:#fdeeee;stroke-dasharray:5 3}.external rect{stroke-dasharray:5 3}
.service rect.row{fill:none;stroke:none}.line{stroke:#d3d9e2}
.wire{fill:none;stroke:#7b8698;stroke-width:1.4}.wire.read{stroke-dasharray:5 4}.arrow{fill:#7b8698}
.tag{font-size:10.5px;fill:#5b6472}
@media(prefers-color-scheme:dark){text{fill:#e8ebf0}.page{fill:#14171c}.column{fill:#1b1f26;stroke:#2b313b}
.head,.box .more,.tag{fill:#9aa5b5}.box rect{fill:#22272f;stroke:#6b7688}
.named rect,.external rect,.engine rect{stroke:#5b97f0;fill:#1c2940}.anonymous rect{stroke:#d99a35;fill:#33291a}
.memory rect{stroke:#a57be0;fill:#2a2138}.server rect,.device rect,.elsewhere rect{stroke:#3cb39c;fill:#17302b}
.missing rect{stroke:#e86a6a;fill:#3a2020}.line{stroke:#3a424e}.wire{stroke:#8c97a8}.arrow{fill:#8c97a8}}
`.replaceAll('\n', '');

function drawBox({ x, y, width, height, kind, title, more, rows }: Box): string {
  const lines = rows.map(({ text, tag, y: at }) => {
    const label = `<text x="${x + 14}" y="${at + 4.5}">${escaped(text)}</text>`;
    const mark =
      tag === ''
        ? ''
        : `<text class="tag" x="${x + width - 12}" y="${at + 4}" text-anchor="end">${tag}</text>`;
    return label + mark;
  });
  const below = rows[0] === undefined ? '' : `<path class="line" d="M${x} ${rows[0].y - 15}H${x + width}"/>`;
  const second = more === '' ? '' : `<text class="more" x="${x + 14}" y="${y + 39}">${escaped(more)}</text>`;
  return `<g class="box ${kind}"><rect x="${x}" y="${y}" width="${width}" height="${height}" rx="8"/><text class="name" x="${x + 14}" y="${y + 22}">${escaped(title)}</text>${second}${below}${lines.join('')}</g>`;
}

function drawWire({ points, isReadOnly }: Wire): string {
  const [first, ...rest] = points;
  let path = `M${first.x} ${first.y}`;
  let last = first;
  for (const point of rest) {
    // A straight piece through a column, a curve between two.
    const middle = (last.x + point.x) / 2;
    path +=
      last.y === point.y ? `H${point.x}` : `C${middle} ${last.y} ${middle} ${point.y} ${point.x} ${point.y}`;
    last = point;
  }
  return `<path class="wire${isReadOnly ? ' read' : ''}" d="${path}" marker-end="url(#arrow)"/>`;
}

/** For text and attributes of XML, which has no control characters. */
function escaped(text: string): string {
  return printableField(text).replace(
    /[<>&"'\ufffe\uffff]/g,
    (character) => `&#${character.codePointAt(0)};`,
  );
}
