import type { Container } from '../../hosts/containers.ts';
import { enabledBy, type LabelWishes, layerWishes, speaksOf } from '../../model/label-wishes.ts';
import { readLabels } from '../../model/labels.ts';
import { quote } from '../../model/quote.ts';
import type { Volume } from '../../model/volume.ts';
import {
  type ComposeWish,
  type ComposeWishes,
  layeredWish,
  noComposeWish,
  readComposeWishes,
} from '../config/compose-settings.ts';
import { settingsOfLabels } from '../config/settings-of-labels.ts';
import { layered, noSettings } from '../config/volume-settings.ts';
import { pathIdentity, volumeIdentity } from '../identity.ts';
import type { JobOptions, Protection } from '../protection.ts';
import { whySkipped } from '../targets.ts';
import type { Policy } from './policy.ts';
import type { Subject } from './subject.ts';

export interface ListedSubjects {
  readonly subjects: readonly Subject[];
  /** Labels and `x-holdfast` that are not understood, for people. */
  readonly warnings: readonly string[];
}

/** All volumes of the host, and the directories that policies name, with what labels and Compose files say of them. */
export async function listSubjects(
  parts: Pick<Protection, 'catalog' | 'host'>,
  policies: readonly Policy[],
  { signal }: JobOptions,
): Promise<ListedSubjects> {
  const catalog = await parts.catalog();
  const paths = new Set(policies.flatMap(({ select }) => select.paths));
  const directories = [...paths].map((path) => directorySubject(path, pathIdentity(catalog, path)));
  const host = await parts.host();
  const { identity: hostIdentity } = await host.info({ signal });
  const volumes = await host.listVolumes({ signal });
  const containers = (await host.containers?.list({ signal })) ?? [];
  const compose = await composeOf(containers);
  const described = volumes.map((volume) =>
    describeSubject(volume, {
      identity: volumeIdentity(catalog, { hostIdentity, name: volume.name }),
      containers,
      compose,
    }),
  );
  return {
    subjects: [...described.map(({ subject }) => subject), ...directories],
    warnings: [
      ...new Set([
        ...[...compose.values()].flatMap(({ warnings }) => warnings),
        ...described.flatMap(({ warnings }) => warnings),
      ]),
    ],
  };
}

function directorySubject(name: string, identity: string): Subject {
  return {
    kind: 'path',
    name,
    identity,
    stack: undefined,
    labels: {},
    settings: noSettings,
    policies: undefined,
    skipped: undefined,
  };
}

interface Around {
  readonly identity: string;
  readonly containers: readonly Container[];
  readonly compose: ReadonlyMap<string, ComposeWishes>;
}

/** Pure. Labels of the volume go before those of its containers, and both before `x-holdfast`. */
export function describeSubject(
  volume: Volume,
  { identity, containers, compose }: Around,
): { readonly subject: Subject; readonly warnings: readonly string[] } {
  const { name, labels } = volume;
  const users = containers.filter(({ mounts }) =>
    mounts.some(({ type, source }) => type === 'volume' && source === name),
  );
  const stack = volume.stack ?? stackOf(users);
  const wishes = wishesOf(volume, users);
  const own = settingsOfLabels(wishes.settings, quote(name));
  const file = composeWishOf({ labels, stack }, users, compose);
  const enabled = wishes.enabled ?? file.backup;
  return {
    subject: {
      kind: 'volume',
      name,
      identity,
      stack,
      labels,
      // What labels say of applications is read by the backup itself; here it only goes before what files say.
      settings: layered({ ...own.settings, preset: wishes.preset, dump: wishes.dump }, file.settings),
      policies: wishes.policies ?? file.policies,
      skipped: enabled === false ? 'it is not to be backed up, by label or x-holdfast' : whySkipped(volume),
    },
    warnings: [...wishes.warnings, ...own.warnings],
  };
}

/** An anonymous volume, or one that Compose calls external, belongs to the one stack that uses it. */
function stackOf(users: readonly Container[]): string | undefined {
  const stacks = new Set(users.map(({ stack }) => stack));
  return stacks.size === 1 ? users[0]?.stack : undefined;
}

function wishesOf({ name, labels }: Volume, users: readonly Container[]): LabelWishes {
  const own = readLabels(labels, { kind: 'volume', name });
  const theirs = users.map((user) => readLabels(user.labels, { kind: 'container', name: user.name }));
  const all = theirs.filter((wishes) => speaksOf(wishes, name)).reduce(layerWishes, own);
  return { ...all, enabled: enabledBy(own, theirs, name) };
}

/** The volume's own entry, then those of its services, then the stack's. */
function composeWishOf(
  { labels, stack }: Pick<Volume, 'labels' | 'stack'>,
  users: readonly Container[],
  compose: Around['compose'],
): ComposeWish {
  const wishes = stack === undefined ? undefined : compose.get(stack);
  if (wishes === undefined) return noComposeWish;
  const services = users.flatMap(({ service }) =>
    service === undefined ? [] : (wishes.services.get(service) ?? []),
  );
  const key = labels['com.docker.compose.volume'];
  const own = (key === undefined ? undefined : wishes.volumes.get(key)) ?? noComposeWish;
  return [own, ...services, wishes.stack].reduce(layeredWish);
}

/** By stack. Its containers say which files it was made from. */
async function composeOf(containers: readonly Container[]): Promise<Map<string, ComposeWishes>> {
  const files = new Map<string, Set<string>>();
  for (const { labels, stack } of containers) {
    const named = labels['com.docker.compose.project.config_files'];
    if (stack === undefined || named === undefined) continue;
    const known = files.get(stack) ?? new Set();
    for (const file of named.split(',')) if (file.startsWith('/')) known.add(file);
    files.set(stack, known);
  }
  const found = new Map<string, ComposeWishes>();
  for (const [stack, names] of files) found.set(stack, await readComposeWishes([...names]));
  return found;
}
