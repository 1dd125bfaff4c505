import { expect, test } from 'vitest';
import { drawMermaid } from './draw-mermaid.ts';
import { drawSvg } from './draw-svg.ts';
import { drawText } from './draw-text.ts';
import type { StorageGraph } from './storage-graph.ts';

const shop: StorageGraph = {
  project: 'shop',
  places: [
    { id: 'place1', kind: 'folder', label: '/data/pg', isMissing: true },
    { id: 'place2', kind: 'folder', label: './app.yml', isMissing: false },
    { id: 'place3', kind: 'memory', label: 'memory', isMissing: false },
  ],
  volumes: [{ id: 'volume1', kind: 'named', label: 'shop_pg', driver: 'local', place: 'place1' }],
  services: [
    {
      id: 'service1',
      label: 'db',
      image: 'postgres:15',
      mounts: [{ target: '/var/lib/postgresql/data', from: 'volume1', readOnly: false }],
    },
    {
      id: 'service2',
      label: 'web',
      image: undefined,
      mounts: [
        { target: '/pg', from: 'volume1', readOnly: true },
        { target: '/etc/app.yml', from: 'place2', readOnly: true },
        { target: '/cache', from: 'place3', readOnly: false },
      ],
    },
    { id: 'service3', label: 'idle', image: undefined, mounts: [] },
  ],
};

test('on a terminal, each mount is a line from the host through its volume to its container', () => {
  expect(drawText(shop)).toBe(
    `
HOST                   VOLUME               CONTAINER
                                            ┌─ db (postgres:15) ──────────────┐
/data/pg (missing) ──▶ shop_pg ────────────▶│ /var/lib/postgresql/data        │
                                            └─────────────────────────────────┘
                                            ┌─ web ───────────────────────────┐
/data/pg (missing) ──▶ shop_pg (also db) ──▶│ /pg (ro)                        │
./app.yml ─────────────────────────────────▶│ /etc/app.yml (ro)               │
memory ────────────────────────────────────▶│ /cache                          │
                                            └─────────────────────────────────┘
                                            ┌─ idle ──────────────────────────┐
                                            │ keeps nothing outside of itself │
                                            └─────────────────────────────────┘`.slice(1),
  );
});

test('lines of a terminal stay aligned beside wide characters', () => {
  const [place] = shop.places;
  const wide = { ...shop, places: [{ ...place!, label: './データ' }, ...shop.places.slice(1)] };
  const lines = drawText(wide).split('\n');
  // Three characters take six columns.
  expect(lines[2]!.indexOf('│') + 3).toBe(lines[1]!.indexOf('┌'));
});

const hostile = '"]; click x "javascript:alert(1)"\n--> end</text><script>&\u001b[2J\u202e\0`%%';

function withName(name: string): StorageGraph {
  return {
    project: name,
    places: [{ id: 'place1', kind: 'folder', label: name, isMissing: true }],
    volumes: [{ id: 'volume1', kind: 'external', label: name, driver: name, place: 'place1' }],
    services: [
      {
        id: 'service1',
        label: name,
        image: name,
        mounts: [
          { target: name, from: 'volume1', readOnly: true },
          { target: name, from: 'place1', readOnly: false },
        ],
      },
    ],
  };
}

test.each([
  ['text', drawText],
  ['mermaid', drawMermaid],
  ['svg', drawSvg],
] as const)('a name cannot break out of %s', (form, draw) => {
  const drawn = draw(withName(hostile));
  // The same lines as with a harmless name, and no control or reordering character.
  expect(drawn.split('\n').length).toBe(draw(withName('harmless')).split('\n').length);
  expect(drawn.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  if (form === 'mermaid') expect(drawn).not.toMatch(/click x "|<script|`|%%/);
  if (form === 'svg') expect(drawn).not.toMatch(/<script|<\/text><s|javascript:alert\(1\)"/);
});

test('an SVG is one well-formed document without scripts, links or fonts of others', () => {
  const drawn = drawSvg(withName(hostile));
  const open: string[] = [];
  for (const [, isEnd, name, isEmpty] of drawn.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g))
    if (isEnd === '/') expect(open.pop()).toBe(name);
    else if (isEmpty === '') open.push(name!);
  expect(open).toEqual([]);
  expect(drawn.replace(/<[^<>]*>/g, '')).not.toMatch(/[<>]/);
  expect(drawn).not.toMatch(/href|@import|url\((?!#)/);
});

test('an SVG puts no box over another, and every line from a box to a box', () => {
  const drawn = drawSvg(shop);
  const boxes = [
    ...drawn.matchAll(
      /class="box [^"]*"><rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/g,
    ),
  ].map(([, ...numbers]) => numbers.map(Number) as [number, number, number, number]);
  expect(boxes).toHaveLength(7);
  for (const [index, [x, y, width, height]] of boxes.entries())
    for (const [otherX, otherY, otherWidth, otherHeight] of boxes.slice(index + 1)) {
      const isApart =
        otherX >= x + width || x >= otherX + otherWidth || otherY >= y + height || y >= otherY + otherHeight;
      expect(isApart).toBe(true);
    }
  const wires = [...drawn.matchAll(/class="wire[^"]*" d="M([\d.]+) [\d.]+.*?([\d.]+) [\d.]+"/g)];
  expect(drawn.match(/class="wire/g)).toHaveLength(5);
  for (const [, from, to] of wires) {
    expect(boxes.some(([x, , width]) => x + width === Number(from))).toBe(true);
    expect(boxes.some(([x]) => x === Number(to))).toBe(true);
  }
});

test('Mermaid names each thing once, and each mount with its path', () => {
  expect(drawMermaid(shop)).toBe(
    `
graph LR
  subgraph host["Host"]
    place1["/data/pg<br/>(missing)"]
    place2["./app.yml"]
    place3["memory"]
  end
  subgraph volumes["Volumes"]
    volume1[("shop_pg")]
  end
  subgraph containers["Containers"]
    service1["db<br/>postgres:15"]
    service2["web"]
    service3["idle"]
  end
  place1 --> volume1
  volume1 -- "/var/lib/postgresql/data" --> service1
  volume1 -. "/pg (read only)" .-> service2
  place2 -. "/etc/app.yml (read only)" .-> service2
  place3 -- "/cache" --> service2
`.slice(1),
  );
});

test('where the drawing is wider than the terminal, each mount stands in a list, on as few lines as fit', () => {
  expect(drawText(shop, 60)).toBe(
    `
db (postgres:15)
  /var/lib/postgresql/data
      ◀── shop_pg ◀── /data/pg (missing)

web
  /pg (ro) ◀── shop_pg (also db) ◀── /data/pg (missing)
  /etc/app.yml (ro) ◀── ./app.yml
  /cache ◀── memory

idle
  keeps nothing outside of itself`.slice(1),
  );
  expect(drawText(shop, 200)).toBe(drawText(shop));
  expect(drawText(shop, 20)).toContain(
    '  /var/lib/postgresql/data\n      ◀── shop_pg\n      ◀── /data/pg (missing)\n',
  );
});

test('a graph without volumes has no empty group in Mermaid', () => {
  const drawn = drawMermaid({ ...shop, volumes: [], services: shop.services.slice(2) });
  expect(drawn).not.toContain('subgraph volumes');
  expect(drawn.match(/subgraph/g)).toHaveLength(drawn.match(/ {2}end/g)?.length ?? 0);
});
