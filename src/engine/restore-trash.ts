import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Host } from '../hosts/host.ts';
import type { ManagedVolume, ManagedVolumes, TrashedVolume } from '../hosts/managed-volumes.ts';
import { copyTree } from '../lib/copy-tree.ts';
import { writeDurably } from '../lib/durable-file.ts';
import { exchange } from '../lib/exchange.ts';
import { tryLockFile } from '../lib/file-lock.ts';
import { namesIn } from '../lib/names-in.ts';
import { syncFilesystem } from '../lib/posix.ts';
import { removeTree } from '../lib/remove-tree.ts';
import { type ByteString, fromText, toPath } from '../model/byte-string.ts';
import { inUseError } from '../model/consumers.ts';
import { AppError, errnoOf } from '../model/errors.ts';
import { quote } from '../model/quote.ts';
import { nameBefore, removedFromLabel } from '../model/removed-from-engine.ts';

export interface RestoreTrashParts {
  readonly managed: Pick<ManagedVolumes, 'find' | 'remove' | 'label' | 'listTrash' | 'restoreTrash'>;
  host(): Promise<Host>;
  readonly stateDir: string;
  /** The volumes that Holdfast keeps itself were asked for: what was an engine's becomes one of them. */
  readonly isOwnWanted: boolean;
}

export interface RestoreTrashOptions {
  /** Another name. */
  readonly to?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Brings a volume back from the trash to whoever had it, and returns its name. One that an engine had is made there
 * again, with its labels, and the data is put into its place in one step; until then, and after a failure, it is in the
 * trash. A name that holds data is `exists`: nothing is merged.
 */
export async function restoreTrash(
  parts: RestoreTrashParts,
  which: string,
  options: RestoreTrashOptions,
): Promise<string> {
  const { managed, isOwnWanted } = parts;
  await settleLeft(parts);
  const trashed = find(await managed.listTrash(), which);
  const name = trashed?.labels[removedFromLabel];
  if (trashed === undefined || name === undefined)
    return (await managed.restoreTrash(trashed?.id ?? which, options)).name;
  const to = options.to ?? name;
  if (isOwnWanted) {
    await managed.restoreTrash(trashed.id, { ...options, to });
    return (await managed.label(to, { [removedFromLabel]: undefined })).name;
  }
  const engine = await parts.host();
  if (engine.kind === 'embedded') throw noEngine(name);
  await using _lock = await lockJournals(parts.stateDir);
  await bringBack({ ...parts, engine }, trashed, { ...options, to });
  return to;
}

/** As the trash finds them, by the name before as well. The newest is first. */
function find(all: readonly TrashedVolume[], which: string): TrashedVolume | undefined {
  const byId = all.filter(({ id }) => which.length >= 4 && id.startsWith(which));
  return all.find((trashed) => nameBefore(trashed) === which) ?? (byId.length === 1 ? byId[0] : undefined);
}

function noEngine(name: string): AppError {
  return new AppError(
    'unavailable',
    `Cannot bring ${quote(name)} back: no engine answers, and it was one's volume`,
    {
      hint: 'Start the engine, or say where it is with DOCKER_HOST. "--host embedded" makes it a volume of Holdfast’s own.',
    },
  );
}

type EngineParts = RestoreTrashParts & { readonly engine: Host };
type Wish = RestoreTrashOptions & { readonly to: string };

async function bringBack(parts: EngineParts, trashed: TrashedVolume, wish: Wish): Promise<void> {
  const { managed, stateDir } = parts;
  const { to, signal } = wish;
  const isThere = await refuseTaken(parts.engine, trashed, wish);
  // Not the name itself: that may be one of ours by now.
  const near = `${to}.${randomBytes(3).toString('hex')}`;
  const journal = join(journalDir(stateDir), `${randomBytes(8).toString('hex')}.json`);
  await writeDurably(journal, JSON.stringify({ name: near } satisfies Journal));
  try {
    const kept = await managed.restoreTrash(trashed.id, { to: near, signal });
    await moveToEngine(parts, kept, { ...wish, isThere });
  } catch (error) {
    await settle(parts);
    throw error;
  }
  await managed.remove(near, { permanent: true });
  await rm(journal, { force: true });
}

/** True when a volume of that name is there that holds nothing and that nobody uses. */
async function refuseTaken(engine: Host, trashed: TrashedVolume, { to, signal }: Wish): Promise<boolean> {
  const found = await engine.findVolume(to, { signal });
  if (found === undefined) return false;
  if (found.consumers.length > 0) throw inUseError('replace', to, found.consumers);
  await using data = await engine.openData(to, { signal });
  if (data.way === 'direct' && (await readdir(toPath(data.root))).length === 0) return true;
  throw new AppError(
    'exists',
    `Cannot restore volume ${quote(nameBefore(trashed))} from the trash: there is a volume ${quote(to)} that holds data`,
    { hint: 'Choose another name with --to.' },
  );
}

async function moveToEngine(
  { engine }: EngineParts,
  kept: ManagedVolume,
  { to, signal, isThere }: Wish & { readonly isThere: boolean },
): Promise<void> {
  const { [removedFromLabel]: _, ...labels } = kept.labels;
  if (!isThere) await engine.createVolume({ name: to, driver: 'local', labels, options: {} }, { signal });
  try {
    await using data = await engine.openData(to, { signal, write: true });
    if (data.way !== 'direct') throw outOfReach(to);
    await putInPlace(kept.mountpoint, data.root, signal);
  } catch (error) {
    // An app must not find it empty.
    if (!isThere) await engine.removeVolume(to).catch(() => undefined);
    throw error;
  }
}

function outOfReach(name: string): AppError {
  return new AppError(
    'unsupported',
    `Cannot bring ${quote(name)} back: its engine's data is out of reach from here`,
    {
      hint: 'Run this as root on the machine of the engine.',
    },
  );
}

/** In one step: the data changes places with an empty directory, after it was copied to beside that where it has to be. */
async function putInPlace(from: string, root: ByteString, signal: AbortSignal | undefined): Promise<void> {
  const parent = root.slice(0, root.lastIndexOf('/'));
  try {
    exchange(fromText(from), root);
  } catch (error) {
    if (!['EXDEV', 'EINVAL', 'ENOSYS'].includes(errnoOf(error) ?? '')) throw error;
    const beside = `${parent}/.holdfast-trash-${randomBytes(8).toString('hex')}`;
    try {
      await copyBeside(fromText(from), beside, signal);
      exchange(beside, root);
    } finally {
      await removeTree(beside);
    }
  }
  for (const folder of [parent, fromText(dirname(from))]) syncFolder(folder);
}

async function copyBeside(from: ByteString, to: ByteString, signal: AbortSignal | undefined): Promise<void> {
  await mkdir(toPath(to), { mode: 0o700 });
  const problems: string[] = [];
  await copyTree(from, to, { signal, onProblem: ({ message }) => void problems.push(message) });
  if (problems.length > 0)
    throw new AppError('failed', 'Cannot copy the data out of the trash', { detail: problems[0] });
  using opened = new DisposableStack();
  const fd = openSync(toPath(to), 'r');
  opened.defer(() => closeSync(fd));
  // What is in the trash goes next.
  syncFilesystem(fd);
}

function syncFolder(path: ByteString): void {
  using opened = new DisposableStack();
  const fd = openSync(toPath(path), 'r');
  opened.defer(() => closeSync(fd));
  fsyncSync(fd);
}

/** Only after a kill is there anything to do. */
async function settleLeft(parts: RestoreTrashParts): Promise<void> {
  const names = await namesIn(journalDir(parts.stateDir));
  if (!names.some((name) => name.endsWith('.json'))) return;
  await using _lock = await lockJournals(parts.stateDir);
  await settle(parts);
}

interface Journal {
  /** Of our volume that has the data on its way from the trash to the engine. */
  readonly name: string;
}

async function lockJournals(stateDir: string): Promise<AsyncDisposable> {
  const folder = journalDir(stateDir);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = await tryLockFile(join(folder, 'lock'), { owner: String(process.pid) });
  if (!('heldBy' in lock)) return lock;
  throw new AppError('locked', `Cannot restore from the trash: process ${lock.heldBy} does so`, {
    hint: 'Wait for its end, and run this again.',
  });
}

/**
 * What did not come to its end is in the trash again. Where the data had reached the engine, what goes there is what it
 * changed places with, or was copied from.
 */
async function settle({ managed, stateDir }: RestoreTrashParts): Promise<void> {
  const folder = journalDir(stateDir);
  for (const file of (await namesIn(folder)).filter((name) => name.endsWith('.json'))) {
    const { name } = JSON.parse(await readFile(join(folder, file), 'utf8')) as Journal;
    if ((await managed.find(name)) !== undefined) await managed.remove(name);
    await rm(join(folder, file), { force: true });
  }
}

function journalDir(stateDir: string): string {
  return join(stateDir, 'journal-trash');
}
