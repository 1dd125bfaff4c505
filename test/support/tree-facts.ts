import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface TreeFacts {
  /** Leaves out what some tools cannot preserve. */
  readonly without?: readonly ('mtime' | 'owner' | 'xattrs' | 'holes' | 'directoryTimes')[];
}

/**
 * Everything visible of a tree, one line per entry, sorted; equal trees give equal lines. Read with node:fs
 * and getfattr, not with the code under test. A file has holes if it takes clearly less than its size.
 */
export function treeFacts(root: string, options: TreeFacts = {}): string[] {
  const without = new Set(options.without ?? []);
  const attributes = without.has('xattrs') ? new Map<string, string>() : readAttributes(root);
  const firstOfInode = new Map<string, string>();
  const lines: string[] = [];
  const visit = (path: string) => {
    const bytes = Buffer.from(path === '' ? root : `${root}/${path}`, 'latin1');
    const stat = lstatSync(bytes, { bigint: true });
    const kind = stat.mode & 0o170000n;
    const facts = [JSON.stringify(path), kind.toString(8), (stat.mode & 0o7777n).toString(8)];
    if (!without.has('owner')) facts.push(`${stat.uid}:${stat.gid}`);
    const hasTime = !without.has('mtime') && !(kind === 0o040000n && without.has('directoryTimes'));
    if (hasTime) facts.push(String(stat.mtimeNs));
    if (kind === 0o100000n) {
      const content = readFileSync(bytes);
      facts.push(`${content.length} ${createHash('sha256').update(content).digest('hex').slice(0, 16)}`);
      if (!without.has('holes') && stat.size > 65536n)
        facts.push(stat.blocks * 512n < stat.size - 32768n ? 'sparse' : 'full');
    }
    if (kind === 0o120000n) facts.push(JSON.stringify(readlinkSync(bytes, 'latin1')));
    if (kind === 0o020000n || kind === 0o060000n) facts.push(String(stat.rdev));
    if (kind !== 0o040000n && stat.nlink > 1n) {
      const key = String(stat.ino);
      if (!firstOfInode.has(key)) firstOfInode.set(key, path);
      facts.push(`same as ${JSON.stringify(firstOfInode.get(key))}`);
    }
    const attribute = attributes.get(path);
    if (attribute !== undefined) facts.push(attribute);
    lines.push(facts.join(' '));
    if (kind !== 0o040000n) return;
    const names = readdirSync(bytes, { encoding: 'latin1' }).sort();
    for (const name of names) visit(path === '' ? name : `${path}/${name}`);
  };
  visit('');
  return lines;
}

function readAttributes(root: string): Map<string, string> {
  const output = execFileSync(
    'getfattr',
    ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '--absolute-names', root],
    {
      maxBuffer: 1 << 28,
      encoding: 'latin1',
    },
  );
  const found = new Map<string, string>();
  for (const group of output.split('\n\n')) {
    const [head = '', ...lines] = group.trim().split('\n');
    if (!head.startsWith('# file: ')) continue;
    const path = head
      .slice(8)
      .replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
    found.set(path.slice(root.length + 1), lines.sort().join(' '));
  }
  return found;
}
