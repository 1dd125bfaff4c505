import { closeSync, futimesSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { planTree, type PlannedFile, type TreeSize } from './plan-tree.ts';
import { noiseOf, randomOf } from './random.ts';
import { type TextSource, textSourceOf } from './text-source.ts';

const filesPerBreath = 500;
const recordBytes = 64;
const noiseInRecord = 20;

/** Writes many small files below `root`, like a tree of source code with its build output. */
export async function makeTree(
  root: string,
  seed: string,
  options: TreeSize & { signal: AbortSignal },
): Promise<void> {
  const plan = planTree(seed, options);
  const text = textSourceOf(seed);
  for (const directory of plan.directories) mkdirSync(join(root, directory));
  for (const [index, file] of plan.files.entries()) {
    if (index % filesPerBreath === 0) await breathe(options.signal);
    writeFile(join(root, file.path), file, makeContent(file, text));
    if (index % 200 === 0) symlinkSync(basename(file.path), `${join(root, file.path)}.link`);
  }
}

/**
 * The same file always gets the same bytes. Text compresses to a quarter, programs to a half, pictures not at
 * all.
 */
export function makeContent(file: PlannedFile, text: TextSource): Buffer {
  const content = Buffer.allocUnsafe(file.sizeBytes);
  if (file.kind === 'text') {
    text.fill(content, randomOf(file.contentSeed));
    return content;
  }
  const noise = noiseOf(file.contentSeed);
  if (file.kind === 'picture') return noise(file.sizeBytes);
  const random = randomOf(file.contentSeed);
  text.fill(content, random);
  // Like object files, where tables of numbers and addresses lie between names.
  const bytes = noise(file.sizeBytes);
  for (let start = 0; start + recordBytes <= content.length; start += recordBytes) {
    content.writeUInt32LE(start, start);
    bytes.copy(content, start + 4, start, start + noiseInRecord);
  }
  return content;
}

function writeFile(path: string, file: PlannedFile, content: Buffer): void {
  const descriptor = openSync(path, 'wx', file.mode);
  try {
    writeSync(descriptor, content);
    futimesSync(descriptor, file.modifiedSeconds, file.modifiedSeconds);
  } finally {
    closeSync(descriptor);
  }
}

async function breathe(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}
