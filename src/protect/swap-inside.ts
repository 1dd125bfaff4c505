import { chmod, lchown, lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { listXattrs, removeXattr, setTimes, setXattr } from '../lib/posix.ts';
import { type ByteString, fromBytes, toPath } from '../model/byte-string.ts';
import { AppError } from '../model/errors.ts';
import type { JournalMember } from './restore-journal.ts';
import { isStagePath } from './stage-path.ts';
import { exists, syncAll, syncFolder } from './on-disk.ts';

/** The swap of what is in a directory, name by name: what a mount point needs. */

/** Which names go and which come; remembers what the directory itself is like. */
export async function prepareInside(member: JournalMember): Promise<JournalMember> {
  const { root, stage } = member;
  for (const folder of ['old', 'root-before', 'root-after'])
    await mkdir(toPath(`${stage}/${folder}`), { recursive: true, mode: 0o700 });
  await copyOwnMetadata(root, `${stage}/root-before`);
  await copyOwnMetadata(`${stage}/new`, `${stage}/root-after`);
  await syncAll(stage);
  return { ...member, oldNames: await topNames(root), newNames: await topNames(`${stage}/new`) };
}

export async function isInsideSwapped({ stage }: JournalMember): Promise<boolean> {
  return await exists(`${stage}/done`);
}

export async function swapInside({ root, stage, oldNames, newNames }: JournalMember): Promise<void> {
  // It came to its end, and its old data is being deleted: what has an old name in the root is new.
  if (!(await exists(`${stage}/old`))) return;
  for (const name of oldNames) {
    // When it is in `old` already, what has its name in the root is new.
    if (await exists(`${stage}/old/${checkedName(name)}`)) continue;
    if (await exists(`${root}/${name}`))
      await rename(toPath(`${root}/${name}`), toPath(`${stage}/old/${name}`));
  }
  for (const name of newNames) {
    if (await exists(`${stage}/new/${checkedName(name)}`))
      await rename(toPath(`${stage}/new/${name}`), toPath(`${root}/${name}`));
  }
  await copyOwnMetadata(`${stage}/root-after`, root);
  await syncAll(root);
  await rename(toPath(`${stage}/old`), toPath(`${stage}/done`));
  await syncFolder(stage);
}

export async function takeBackInside({ root, stage, oldNames, newNames }: JournalMember): Promise<void> {
  if (await exists(`${stage}/done`)) await rename(toPath(`${stage}/done`), toPath(`${stage}/old`));
  if (!(await exists(`${stage}/old`))) return;
  for (const name of newNames) {
    if (await exists(`${stage}/new/${name}`)) continue;
    // With a name that both have, what is in the root is the old one unless that is in `old`.
    if (oldNames.includes(name) && !(await exists(`${stage}/old/${name}`))) continue;
    if (await exists(`${root}/${name}`))
      await rename(toPath(`${root}/${name}`), toPath(`${stage}/new/${name}`));
  }
  for (const name of oldNames) {
    if (await exists(`${stage}/old/${name}`))
      await rename(toPath(`${stage}/old/${name}`), toPath(`${root}/${name}`));
  }
  await copyOwnMetadata(`${stage}/root-before`, root);
  await syncAll(root);
}

/** What is at the top of a directory, without our own folder and the one that ext4 keeps at its root. */
async function topNames(root: ByteString): Promise<ByteString[]> {
  const names = (await readdir(toPath(root), { encoding: 'buffer' })).map(fromBytes);
  return names.filter((name) => !isStagePath(name) && name !== 'lost+found').sort();
}

function checkedName(name: ByteString): ByteString {
  if (name !== '' && name !== '.' && name !== '..' && !name.includes('/')) return name;
  throw new AppError('integrity', 'The journal of a restore names something outside of its volume');
}

/** Mode, owner, attributes and times of a directory, without what is in it. */
export async function copyOwnMetadata(from: ByteString, to: ByteString): Promise<void> {
  const stat = await lstat(toPath(from), { bigint: true });
  const wanted = listXattrs(from);
  for (const { name } of listXattrs(to)) {
    if (!wanted.some((attribute) => attribute.name === name) && !name.startsWith('security.'))
      removeXattr(to, name);
  }
  await lchown(toPath(to), Number(stat.uid), Number(stat.gid));
  for (const attribute of wanted) setXattr(to, attribute);
  await chmod(toPath(to), Number(stat.mode) & 0o7777);
  setTimes(to, stat.mtimeNs);
}
