import type { Session } from './session.ts';

/** Notes that no engine was found, when the list is empty and no flag or configuration chose to use none. */
export async function noteNoEngine({ app, config, note, signal }: Session): Promise<void> {
  if (config.host === 'embedded' || (await app.policies.configuration()).host === 'embedded') return;
  const { host } = await app.volumes.lookAround({ signal });
  if (host.kind !== 'embedded') return;
  note(
    'No container engine was found: these are the volumes that Holdfast keeps itself. If there is an engine, start it, or say where it is: DOCKER_HOST, CONTAINER_HOST or --host.',
  );
}
