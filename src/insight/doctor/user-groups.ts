import { readdirSync } from 'node:fs';
import { readUserNames } from '../../lib/user-names.ts';
import { parseStatus } from './credentials.ts';
import { numbersOf } from './image-users.ts';
import { readOrNothing } from './read-or-nothing.ts';

/** All groups with which a user works on this machine: by its tables, and those of the user's processes, also in containers. */
export function groupsOfUser(uid: number): ReadonlySet<number> {
  const [passwd, group] = ['/etc/passwd', '/etc/group'].map((table) => readOrNothing(table, 'latin1'));
  const named = numbersOf(String(uid), passwd ?? '', group ?? '');
  const groups = new Set(named?.groups);
  // A number without a name has the group of root there.
  if (named !== undefined && readUserNames().user(uid) !== '') groups.add(named.gid);
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const status = readOrNothing(`/proc/${pid}/status`);
    const process = status === '' ? undefined : parseStatus(status);
    if (process?.uid === uid) for (const gid of [process.gid, ...process.groups]) groups.add(gid);
  }
  return groups;
}
