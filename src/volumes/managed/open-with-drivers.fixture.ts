import { openDrivers } from '../../drivers/open-drivers.ts';
import { type EmbeddedHostOptions, openEmbeddedHost } from './embedded-host.ts';

/** The host with all drivers, for tests that need no secret. */
export function openWithDrivers(
  options: Omit<EmbeddedHostOptions, 'drivers'>,
): ReturnType<typeof openEmbeddedHost> {
  const drivers = openDrivers({ stateDir: options.stateDir, secret: async () => Buffer.from('') });
  return openEmbeddedHost({ ...options, drivers });
}
