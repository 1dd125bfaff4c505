import { quote } from '../../model/quote.ts';
import { parseImageName } from './image-name.ts';
import type { DiskEvidence, PresetSubject, Recognition } from './preset.ts';

export interface Marks {
  /** Last parts of image names: the official image, its forks, and other vendors' names. */
  readonly images: readonly string[];
  /** Whole image names whose last part is too common: `supabase/postgres`. */
  readonly imagePaths?: readonly string[];
  /** Finds the database's folder in a volume, and the proof. Undefined where there is none. */
  readonly findOnDisk: (disk: DiskEvidence) => FoundOnDisk | undefined;
}

export interface FoundOnDisk {
  readonly folder: string;
  readonly files?: readonly string[];
  /** The file that proves it, below the volume's root. */
  readonly sign: string;
}

/**
 * Recognises by image and by disk. An image alone is enough only where the disk was not looked at or is still
 * empty: a database's image also serves backups and tools, whose volumes are no data directories.
 */
export function recogniseBy({ container, disk }: PresetSubject, marks: Marks): Recognition | undefined {
  const byImage = container !== undefined && hasImage(container.image, marks);
  const found = disk && marks.findOnDisk(disk);
  if (!found && !(byImage && (disk === undefined || disk.size === 0))) return undefined;
  const reasons = [
    ...(byImage ? [`the image ${quote(container.image)}`] : []),
    ...(found ? [`${quote(found.sign)} in the volume`] : []),
  ];
  return {
    by: byImage && found ? 'both' : found ? 'disk' : 'image',
    folder: found?.folder ?? '',
    files: found?.files ?? [],
    reason: reasons.join(' and '),
  };
}

function hasImage(image: string, { images, imagePaths = [] }: Marks): boolean {
  const { base, path } = parseImageName(image);
  return images.includes(base) || imagePaths.includes(path);
}

/** The folder nearest to the root that has all of the names, or undefined. Pure. */
export function folderWith(
  disk: DiskEvidence,
  [first, ...others]: readonly [string, ...string[]],
): string | undefined {
  return [...disk.keys()]
    .filter((path) => path === first || path.endsWith(`/${first}`))
    .map((path) => path.slice(0, Math.max(0, path.length - first.length - 1)))
    .filter((folder) => others.every((name) => disk.has(below(folder, name))))
    .toSorted((a, b) => depth(a) - depth(b) || (a < b ? -1 : 1))[0];
}

export function below(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

function depth(folder: string): number {
  return folder === '' ? 0 : folder.split('/').length;
}
