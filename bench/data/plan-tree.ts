import { type Random, randomOf } from './random.ts';

export type FileKind = 'text' | 'program' | 'picture';

export interface PlannedFile {
  /** Relative to the tree's root, without special characters. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly kind: FileKind;
  /** Files of equal seed, size and kind are copies of each other. */
  readonly contentSeed: string;
  readonly mode: number;
  /** In seconds since 1970. */
  readonly modifiedSeconds: number;
}

export interface TreePlan {
  /** Relative paths, a directory before its entries; without the root. */
  readonly directories: readonly string[];
  readonly files: readonly PlannedFile[];
}

export interface TreeSize {
  readonly files: number;
  readonly bytes: number;
}

const filesPerDirectory = 11;
const deepest = 9;
/** Makes the median file a quarter of the mean's size, as in trees of source code and packages. */
const sizeDeviation = 1.7;
const largestFileBytes = 20_000_000;
const copiedShare = 0.04;
const secondsOf2020 = 1_577_836_800;

const textEndings = ['ts', 'js', 'js', 'd.ts', 'json', 'md', 'rs', 'h', 'txt', 'js.map', 'py', 'html'];
const programEndings = ['o', 'so', 'wasm', 'pyc', 'rlib'];
const pictureEndings = ['png', 'woff2', 'gz'];

/**
 * Plans a tree like a language's toolchain or a folder of packages. Its files add up to about the requested
 * bytes.
 */
export function planTree(seed: string, size: TreeSize): TreePlan {
  const random = randomOf(`${seed}/tree`);
  const directories = planDirectories(random, Math.max(1, Math.round(size.files / filesPerDirectory)));
  const weights = directories.map(() => Math.exp(random.normal()));
  const sizes = planSizes(random, size);
  const files: PlannedFile[] = [];
  for (const [index, directory] of spread(size.files, directories, weights).entries()) {
    const original = random.next() < copiedShare ? files[random.below(files.length)] : undefined;
    files.push(planFile({ seed, random, directory, index, sizeBytes: sizes[index] ?? 0, original }));
  }
  return { directories, files };
}

/** Each directory's parent is one of the latest or, seldom, any: the tree is neither a chain nor flat. */
function planDirectories(random: Random, count: number): string[] {
  const made: { path: string; depth: number }[] = [];
  for (let index = 0; index < count; index += 1) {
    const recent = Math.min(made.length, 40);
    const parent =
      random.next() < 0.1 ? undefined : made[made.length - 1 - random.below(Math.max(1, recent))];
    const isTop = parent === undefined || parent.depth >= deepest;
    const name = `module-${index.toString(36)}`;
    made.push(isTop ? { path: name, depth: 1 } : { path: `${parent.path}/${name}`, depth: parent.depth + 1 });
  }
  return made.map(({ path }) => path);
}

/**
 * One directory for each file, in the directories' order: some with hundreds of files and many with a few.
 */
function spread(count: number, directories: readonly string[], weights: readonly number[]): string[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const places: string[] = [];
  let share = 0;
  for (const [index, directory] of directories.entries()) {
    share += weights[index] ?? 0;
    const upTo = index === directories.length - 1 ? count : Math.round((share / total) * count);
    while (places.length < upTo) places.push(directory);
  }
  return places;
}

function planSizes(random: Random, { files, bytes }: TreeSize): number[] {
  const raw = Array.from({ length: files }, () => Math.exp(sizeDeviation * random.normal()));
  const factor = bytes / raw.reduce((sum, one) => sum + one, 0);
  return raw.map((one) => Math.min(largestFileBytes, Math.round(one * factor)));
}

interface FileRequest {
  readonly seed: string;
  readonly random: Random;
  readonly directory: string;
  readonly index: number;
  readonly sizeBytes: number;
  readonly original: PlannedFile | undefined;
}

function planFile({ seed, random, directory, index, sizeBytes, original }: FileRequest): PlannedFile {
  const dice = random.next();
  const kind = dice < 0.86 ? 'text' : dice < 0.95 ? 'program' : 'picture';
  const endings = { text: textEndings, program: programEndings, picture: pictureEndings }[kind];
  const path = `${directory}/file-${index.toString(36)}.${endings[random.below(endings.length)]}`;
  const mode = random.next() < 0.03 ? 0o755 : 0o644;
  const modifiedSeconds = secondsOf2020 + random.below(5 * 365 * 86_400);
  const content = original ?? { sizeBytes, kind, contentSeed: `${seed}/file-${index}` };
  const { contentSeed } = content;
  return { path, sizeBytes: content.sizeBytes, kind: content.kind, contentSeed, mode, modifiedSeconds };
}
