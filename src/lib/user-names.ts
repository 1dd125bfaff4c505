import { readFileSync } from 'node:fs';

export interface UserNames {
  /** '' when the machine has no name for the number. */
  user(uid: number): string;
  group(gid: number): string;
}

/** The current names of numbers in this machine's /etc/passwd and /etc/group. */
export function readUserNames(): UserNames {
  const users = readTable('/etc/passwd');
  const groups = readTable('/etc/group');
  return { user: (uid) => users.get(uid) ?? '', group: (gid) => groups.get(gid) ?? '' };
}

/** The number of a name in this machine's /etc/group. */
export function groupNumber(name: string): number | undefined {
  for (const line of readTextOrNothing('/etc/group').split('\n')) {
    const [found, , number = ''] = line.split(':');
    if (found === name && /^\d+$/.test(number)) return Number(number);
  }
  return undefined;
}

function readTable(path: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of readTextOrNothing(path).split('\n')) {
    const [name = '', , number = ''] = line.split(':');
    if (/^\d+$/.test(number) && !names.has(Number(number))) names.set(Number(number), name);
  }
  return names;
}

function readTextOrNothing(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // Names are optional: a machine without these files has numbers.
    return '';
  }
}
