import type { Container, Containers } from '../../hosts/containers.ts';
import { readContainerFile } from '../../quiesce/index.ts';
import type { JobOptions } from '../../activity/index.ts';
import type { ServerPlan } from './choose-server.ts';

const fileSuffix = '_FILE';

/**
 * The environment for a trial. Secrets in files that are mounted from the host (`POSTGRES_PASSWORD_FILE`) are
 * missing in a trial: their content takes their place when the container runs and can be asked for it;
 * otherwise they are left out.
 */
export async function trialEnvironment(
  containers: Containers,
  { live, ...plan }: Pick<ServerPlan, 'environment' | 'live'>,
  options: JobOptions,
): Promise<Record<string, string>> {
  const environment = { ...plan.environment };
  if (live === undefined) return environment;
  for (const [name, file] of Object.entries(plan.environment)) {
    if (!name.endsWith(fileSuffix) || !isMountedFile(live, file)) continue;
    delete environment[name];
    const content = await readInside(containers, { container: live, file }, options);
    if (content !== undefined) environment[name.slice(0, -fileSuffix.length)] = content;
  }
  return environment;
}

function isMountedFile({ mounts }: Container, file: string): boolean {
  return mounts.some(
    ({ type, destination }) =>
      type !== 'volume' && (file === destination || file.startsWith(`${destination.replace(/\/$/, '')}/`)),
  );
}

async function readInside(
  containers: Containers,
  { container, file }: { readonly container: Container; readonly file: string },
  { signal }: JobOptions,
): Promise<string | undefined> {
  if (container.state !== 'running') return undefined;
  try {
    return (await readContainerFile({ containers, container, signal }, file))?.replace(/\r?\n$/, '');
  } catch (error) {
    if (signal?.aborted === true) throw error;
    return undefined;
  }
}
