import type { Container } from '../hosts/containers.ts';
import type { LabelSettings } from '../model/label-settings.ts';
import { readLabels, speaksToUs } from '../model/labels.ts';
import { quote } from '../model/quote.ts';

type Labels = Readonly<Record<string, string>>;

/**
 * The labels set by the user who runs a container. An image's author is another person, who could exclude
 * data from every backup or run commands in other containers, so labels that equal the image's do not count.
 * Where the image is gone, nothing can be told apart, and no label counts. Pure.
 */
export function ownLabels({ labels, imageLabels }: Pick<Container, 'labels' | 'imageLabels'>): Labels {
  if (imageLabels === undefined) return {};
  return Object.fromEntries(Object.entries(labels).filter(([name, value]) => imageLabels[name] !== value));
}

const stackLabels = ['com.docker.compose.project', 'com.docker.stack.namespace'];

/**
 * The Compose project or stack that a container was made for; undefined where only its image says so. Compose
 * labels each image that it builds with the project, but puts a hash of the service only on containers. Pure.
 */
export function ownStack({
  stack,
  labels,
  imageLabels,
}: Pick<Container, 'labels' | 'imageLabels' | 'stack'>): string | undefined {
  if (imageLabels === undefined) return undefined;
  const isMadeByCompose = Object.hasOwn(ownLabels({ labels, imageLabels }), 'com.docker.compose.config-hash');
  const isClaimed = stackLabels.some((label) => imageLabels[label] === stack);
  return isMadeByCompose || !isClaimed ? stack : undefined;
}

const shownAtMost = 5;

/** The backup settings in a container's labels. Pure. */
export function settingsOfContainer(
  container: Pick<Container, 'labels' | 'imageLabels' | 'name'>,
): LabelSettings {
  const { labels, name } = container;
  const own = ownLabels(container);
  const settings = readLabels(own, { kind: 'container', name });
  const ignored = Object.keys(labels).filter((label) => speaksToUs(label) && !Object.hasOwn(own, label));
  if (ignored.length === 0) return settings;
  const whose = container.imageLabels === undefined ? 'an image that is gone or broken' : 'its image';
  const shown = ignored.slice(0, shownAtMost).map(quote).join(', ');
  const more = ignored.length > shownAtMost ? ` and ${ignored.length - shownAtMost} more` : '';
  const said = `The container ${quote(name)} has labels of ${whose}, which have no say: ${shown}${more}. Say it on a volume or in holdfast.yaml.`;
  return { ...settings, warnings: [...settings.warnings, said] };
}
