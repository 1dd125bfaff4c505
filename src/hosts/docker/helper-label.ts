import type { EngineContainer } from './engine-types.ts';

export const helperLabel = 'holdfast.helper';
export const helperNamePrefix = 'holdfast-helper-';

/** True for our helpers: never a consumer. A started container is none, whatever its labels say. */
export function isHelper(container: EngineContainer): boolean {
  return (
    container.Labels?.[helperLabel] === 'true' &&
    (container.State === 'created' || container.State === 'removing' || container.State === 'dead') &&
    (container.Names ?? []).every((name) => name.startsWith(`/${helperNamePrefix}`))
  );
}
