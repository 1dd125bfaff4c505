import type { Session } from './session.ts';

/** Says that no engine was found, where nothing is shown and no flag or configuration says that none is meant. */
export async function noteNoEngine({ app, config, note, signal }: Session): Promise<void> {
  if (config.host === 'embedded' || (await app.policies.configuration()).host === 'embedded') return;
  const { host } = await app.volumes.lookAround({ signal });
  if (host.kind !== 'embedded') return;
  note(
    'No container engine was found: these are the volumes that Holdfast keeps itself. If there is an engine, start it, or say where it is: DOCKER_HOST, CONTAINER_HOST or --host.',
  );
}
