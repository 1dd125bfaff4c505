import { AppError } from '../src/model/errors.ts';
import { ApiClient } from './api-client.ts';
import { type DockerEngine, startDockerEngine } from './docker-engine.ts';

const volumeCount = 2_000;

interface StartOptions {
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** Starts a Docker Engine below `folder` and creates volumes in it. `unavailable` when it does not start. */
export async function startVolumeEngine(
  folder: string,
  { signal, say }: StartOptions,
): Promise<DockerEngine> {
  const engine = await startDockerEngine(folder, signal);
  try {
    say(`Making ${volumeCount} volumes in a Docker Engine`);
    using client = new ApiClient(engine.socket);
    for (let index = 0; index < volumeCount; index += 1) {
      signal.throwIfAborted();
      await client.call('POST', '/volumes/create', {
        Name: `volume-${index}`,
        Labels: { number: `${index}` },
      });
    }
    return engine;
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    signal.throwIfAborted();
    throw new AppError('unavailable', 'Cannot make volumes in a Docker Engine', {
      hint: 'Leave --with-docker out to do without.',
      cause: error,
    });
  }
}
