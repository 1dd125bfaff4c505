import { quote } from '../model/quote.ts';
import type { ComposePath } from './compose-project.ts';
import { CannotFillIn, fillIn, type Lookup } from './fill-in.ts';
import { toLongSyntax } from './long-syntax.ts';
import { broken, type YamlDocument } from './parse-yaml.ts';
import {
  entriesOf,
  fieldOf,
  isPlacedText,
  mapValues,
  type Placed,
  type PlacedMap,
  scalarAt,
} from './placed.ts';
import type { ProjectFiles } from './project-files.ts';

/** What the files of a project, or of one `include`, are read with. */
export interface ModelScope {
  /** The project's folder: what relative paths are relative to, `extends` and `include` among them. */
  readonly directory: string;
  readonly home: string | undefined;
  readonly lookup: Lookup;
  /** False: variables stay as they are written. */
  readonly interpolate: boolean;
}

/** A document's own model, with its variables filled in and in the long syntax. */
export function ownModel(document: YamlDocument, scope: ModelScope, files: ProjectFiles): PlacedMap {
  const { top } = document;
  if (top.kind !== 'map') throw broken(top.at, 'top-level object must be a mapping');
  return toLongSyntax(scope.interpolate ? (fillInAll(top, [], scope, files) as PlacedMap) : top);
}

function fillInAll(
  value: Placed,
  path: ComposePath,
  scope: ModelScope,
  files: ProjectFiles,
): Placed | undefined {
  files.limits.value();
  if (value.kind === 'map')
    return mapValues(value, (inner, key) => fillInAll(inner, [...path, key], scope, files));
  if (value.kind === 'list') {
    const items = value.items.map((item, index) => fillInAll(item, [...path, index], scope, files));
    return { ...value, items: items.filter((item) => item !== undefined) };
  }
  if (typeof value.value !== 'string' || !value.value.includes('$')) return value;
  const unset = (name: string): void =>
    files.report(
      'warning',
      `The ${quote(name)} variable is not set. Defaulting to a blank string.`,
      path,
      value.at,
    );
  try {
    return scalarAt(fillIn(value.value, { lookup: scope.lookup, limits: files.limits, unset }), value.at);
  } catch (error) {
    if (!(error instanceof CannotFillIn)) throw error;
    files.report('error', `error while interpolating ${path.join('.')}: ${error.message}`, path, value.at);
    return undefined;
  }
}

/** Of two mounts at one path in one file, Compose takes the last without a word. */
export function warnOfHidden(model: PlacedMap, files: ProjectFiles): void {
  for (const [name, { value: service }] of entriesOf(fieldOf(model, 'services'))) {
    const seen = new Map<unknown, string>();
    const mounts = fieldOf(service, 'volumes');
    for (const [index, mount] of (mounts?.kind === 'list' ? mounts.items : []).entries()) {
      const target = fieldOf(mount, 'target');
      if (!isPlacedText(target)) continue;
      const here = `services.${name}.volumes[${index}]`;
      const taken = seen.get(target.value);
      seen.set(target.value, here);
      if (taken === undefined) continue;
      files.report(
        'warning',
        `${here}: target ${target.value} already mounted as ${taken}`,
        ['services', name, 'volumes', index],
        mount.at,
      );
    }
  }
}
