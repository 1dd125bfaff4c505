import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import type { Peer } from './peers/peer.ts';

export interface FoundPeer {
  readonly peer: Peer;
  /** The first line of its version output. */
  readonly version: string;
}

export interface SkippedPeer {
  readonly peer: Peer;
  readonly reason: string;
}

export interface PeersFound {
  readonly found: readonly FoundPeer[];
  readonly skipped: readonly SkippedPeer[];
}

export function findPeers(peers: readonly Peer[]): PeersFound {
  const found: FoundPeer[] = [];
  const skipped: SkippedPeer[] = [];
  for (const peer of peers) {
    const missing = peer.programs.filter((program) => !isInstalled(program));
    const [program = '', ...args] = peer.version;
    const asked = missing.length === 0 ? spawnSync(program, args, { encoding: 'utf8' }) : undefined;
    if (asked?.status === 0) found.push({ peer, version: asked.stdout.trim().split('\n')[0] ?? '' });
    else
      skipped.push({ peer, reason: asked === undefined ? whyMissing(peer, missing) : 'it does not start' });
  }
  return { found, skipped };
}

/**
 * Installs the missing peers that Debian has, if this process may. Returns what went wrong, one line each.
 */
export function installPeers(peers: readonly Peer[], say: (line: string) => void): string | undefined {
  const packages = peers.flatMap(({ debianPackages = [], programs }) =>
    programs.every(isInstalled) ? [] : debianPackages,
  );
  if (packages.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return undefined;
  say(`Installing what Holdfast is compared with: apt-get install ${packages.join(' ')}`);
  const wait = ['-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3'];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  spawnSync('apt-get', [...wait, 'update'], { env });
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  const { status, stdout, stderr } = spawnSync('apt-get', [...wait, ...install], { env, encoding: 'utf8' });
  return status === 0 ? undefined : `${stdout}${stderr}`.trim().split('\n').slice(-8).join('\n');
}

function whyMissing({ debianPackages }: Peer, missing: readonly string[]): string {
  const names = missing.map((program) => `"${program}"`).join(', ');
  const remedy = debianPackages === undefined ? '' : ` (Debian: apt-get install ${debianPackages.join(' ')})`;
  return `${names} is not installed${remedy}`;
}

export function isInstalled(program: string): boolean {
  const folders = isAbsolute(program) ? [''] : (process.env['PATH'] ?? '').split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
