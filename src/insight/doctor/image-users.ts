import type { Container, Containers } from '../../hosts/containers.ts';

/** The numbers that a container's `USER` has in its image. */
export interface UserNumbers {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

const usualPatience = { eachMs: 10_000, allMs: 30_000 };

/**
 * The users of containers that do not run, by their ids: from the tables in their own root, as the engine reads
 * them when it starts one. Those that cannot be known are left out.
 */
export async function lookUpUsers(
  engine: Containers | undefined,
  containers: readonly Container[],
  signal: AbortSignal | undefined,
  { eachMs, allMs } = usualPatience,
): Promise<ReadonlyMap<string, UserNumbers>> {
  const found = new Map<string, UserNumbers>();
  if (engine === undefined) return found;
  const whole = AbortSignal.timeout(allMs);
  for (const { id, user, pid } of containers) {
    if (pid !== undefined || user === '') continue;
    if (whole.aborted) break;
    // An engine mounts the container's volumes for this, which can hang.
    const patience = [whole, AbortSignal.timeout(eachMs)];
    const bound = { signal: AbortSignal.any(signal === undefined ? patience : [signal, ...patience]) };
    try {
      const passwd = await engine.readFile(id, '/etc/passwd', bound);
      const group = await engine.readFile(id, '/etc/group', bound);
      const numbers = numbersOf(user, textOf(passwd), textOf(group));
      if (numbers !== undefined) found.set(id, numbers);
    } catch (error) {
      if (signal?.aborted === true) throw error;
      // The permissions of this one are then said not to be looked at.
    }
  }
  return found;
}

function textOf(content: Uint8Array | undefined): string {
  return content === undefined ? '' : Buffer.from(content).toString('latin1');
}

/** `USER` as an engine resolves it: a name or a number, and a group, or else the groups of the tables. Pure. */
export function numbersOf(user: string, passwd: string, group: string): UserNumbers | undefined {
  const [who = '', given] = user.split(':', 2);
  const entry = rowsOf(passwd).find(([name, , number]) => name === who || number === who);
  const uid = numberOf(entry?.[2] ?? who);
  if (uid === undefined) return undefined;
  if (given !== undefined && given !== '') {
    const gid = numberOf(rowsOf(group).find(([name]) => name === given)?.[2] ?? given);
    return gid === undefined ? undefined : { uid, gid, groups: [] };
  }
  const name = entry?.[0] ?? who;
  const groups = rowsOf(group).flatMap(([, , number, members = '']) =>
    members.split(',').includes(name) ? (numberOf(number) ?? []) : [],
  );
  return { uid, gid: numberOf(entry?.[3]) ?? 0, groups };
}

function rowsOf(table: string): string[][] {
  return table.split('\n').map((line) => line.split(':'));
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
