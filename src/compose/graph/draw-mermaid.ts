import { printableField } from '../../model/quote.ts';
import type { StorageGraph } from './storage-graph.ts';

/** The graph in Mermaid's language, as Markdown pages of GitHub and others draw it. Pure. */
export function drawMermaid(graph: StorageGraph): string {
  const lines = [
    'graph LR',
    '  subgraph host["Host"]',
    ...graph.places.map(
      ({ id, label, isMissing }) => `    ${id}["${escaped(label)}${isMissing ? '<br/>(missing)' : ''}"]`,
    ),
    '  end',
    ...(graph.volumes.length === 0 ? [] : ['  subgraph volumes["Volumes"]']),
    ...graph.volumes.map(({ id, label, driver }) => {
      const more = driver === '' || driver === 'local' ? '' : `<br/>${escaped(driver)}`;
      return `    ${id}[("${escaped(label)}${more}")]`;
    }),
    ...(graph.volumes.length === 0 ? [] : ['  end']),
    '  subgraph containers["Containers"]',
    ...graph.services.map(({ id, label, image }) => {
      const more = image === undefined ? '' : `<br/>${escaped(image)}`;
      return `    ${id}["${escaped(label)}${more}"]`;
    }),
    '  end',
    ...graph.volumes.map(({ id, place }) => `  ${place} --> ${id}`),
    ...graph.services.flatMap(({ id, mounts }) =>
      mounts.map(({ from, target, readOnly }) =>
        readOnly
          ? `  ${from} -. "${escaped(target)} (read only)" .-> ${id}`
          : `  ${from} -- "${escaped(target)}" --> ${id}`,
      ),
    ),
  ];
  return `${lines.join('\n')}\n`;
}

/** Everything but letters, digits and what has no meaning in Mermaid or HTML becomes a code of Mermaid: `#60;`. */
function escaped(text: string): string {
  return printableField(text).replace(
    /[^\p{L}\p{N} ./_,:-]/gu,
    (character) => `#${character.codePointAt(0)};`,
  );
}
