import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Host } from '../../src/hosts/host.ts';
import { openDockerHost } from '../../src/hosts/docker/docker-host.ts';
import { findControlGroup } from '../../src/quiesce/freeze/control-group.ts';
import { openAuditLog } from '../../src/activity/log/open-audit-log.ts';
import type { BackupAccess } from '../../src/backup/backup.ts';
import type { PrivateEngine } from '../docker/private-engine.ts';

/** What a test needs to make an engine's containers still, and to see the result. */
export interface FrozenWorld extends AsyncDisposable {
  readonly access: BackupAccess;
  readonly stateDir: string;
  readonly host: Host;
  /** The folder of a container's control group. */
  groupOf(name: string): Promise<string>;
}

export async function openFrozenWorld(engine: PrivateEngine): Promise<FrozenWorld> {
  const stateDir = mkdtempSync(join(tmpdir(), 'frozen-'));
  const host = await openDockerHost({ env: { DOCKER_HOST: engine.dockerHost } });
  const unused = async (): Promise<never> => {
    throw new Error('This is not needed here');
  };
  return {
    stateDir,
    host,
    access: {
      stateDir,
      catalog: unused,
      host: async () => host,
      repository: unused,
      log: openAuditLog({ stateDir, now: Date.now, env: {}, catalog: unused }),
      notifier: unused,
    },
    async groupOf(name) {
      const container = await host.containers?.find(name);
      const group = container?.pid && findControlGroup({ pid: container.pid, id: container.id });
      if (!group) throw new Error(`There is no group that could be frozen for "${name}"`);
      return group;
    },
    async [Symbol.asyncDispose]() {
      await host[Symbol.asyncDispose]();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** The group's file: whether it has been asked to freeze. */
export function frozenState(group: string): string {
  return readFileSync(join(group, 'cgroup.freeze'), 'utf8').trim();
}

export function setFrozenState(group: string, request: '0' | '1'): void {
  writeFileSync(join(group, 'cgroup.freeze'), request);
}

/** The guardian processes of the control groups with this part in their path. */
export function guardiansOf(part: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const line = readFileSync(`/proc/${name}/cmdline`, 'utf8');
        return line.includes('guardian-worker') && line.includes(part);
      } catch {
        return false;
      }
    })
    .map(Number);
}
