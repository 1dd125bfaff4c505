import { mountPoints } from '../setup/leftovers.ts';
import type { PrivateEngine } from './private-engine.ts';

export interface InspectedVolume {
  readonly Driver: string;
  readonly Scope: string;
  readonly Mountpoint: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Options: Readonly<Record<string, string>> | null;
  readonly Status: { readonly mounts: number; readonly mounted: boolean; readonly kind: string };
}

const lastWord = 'end-of-output';

/** One volume of a plugin as a user of Docker has it. All containers are of "busybox", and have it at /data. */
export class PluginVolume {
  readonly name: string;
  readonly #docker: PrivateEngine['docker'];
  readonly #driver: string;

  constructor(docker: PrivateEngine['docker'], { name, driver }: { name: string; driver: string }) {
    this.name = name;
    this.#docker = docker;
    this.#driver = driver;
  }

  create(...options: string[]): Promise<string> {
    const words = options.flatMap((option) => ['-o', option]);
    return this.#docker(['volume', 'create', '-d', this.#driver, ...words, this.name]);
  }

  /**
   * Runs a script that may run twice, and gives its output. On a loaded machine "docker run" may end well without what
   * the container has printed.
   */
  async inContainer(script: string): Promise<string> {
    const mount = ['-v', `${this.name}:/data`];
    const command = ['busybox', 'sh', '-c', `(${script}\n) && echo ${lastWord}`];
    for (let tries = 0; tries < 5; tries++) {
      const said = await this.#docker(['run', '--rm', '--network=none', ...mount, ...command]);
      if (said.endsWith(lastWord)) return said.slice(0, -lastWord.length).replace(/\n$/, '');
    }
    throw new Error(`The output of "${script}" was lost five times`);
  }

  keepRunning(container: string, ...more: string[]): Promise<string> {
    const words = ['--network=none', '--name', container, ...more, '-v', `${this.name}:/data`];
    return this.#docker(['run', '-d', ...words, 'busybox', 'sleep', '10000']);
  }

  async inspect(): Promise<InspectedVolume> {
    return (JSON.parse(await this.#docker(['volume', 'inspect', this.name])) as [InspectedVolume])[0];
  }

  async status(): Promise<InspectedVolume['Status']> {
    return (await this.inspect()).Status;
  }

  /** Where it is mounted on this machine. */
  mounts(): string[] {
    return mountPoints().filter((path) => path.endsWith(`/volumes/${this.name}/_data`));
  }

  remove(): Promise<string> {
    return this.#docker(['volume', 'rm', this.name]);
  }
}

export async function removeContainers({ docker }: PrivateEngine): Promise<void> {
  const ids = (await docker(['ps', '-aq'])).split('\n').filter(Boolean);
  if (ids.length > 0) await docker(['rm', '-f', ...ids]);
}
