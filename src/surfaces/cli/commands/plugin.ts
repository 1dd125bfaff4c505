import path from 'node:path';
import { AppError } from '../../../model/errors.ts';
import { servePlugin } from '../../docker-plugin/serve-plugin.ts';
import { serviceRequest, type SocketFlags } from '../served-socket.ts';
import type { Session } from '../session.ts';

export interface PluginFlags extends SocketFlags {
  readonly stateFrom?: string;
  readonly shared?: string;
}

const usualSocket = '/run/docker/plugins/holdfast.sock';
const usualSharedSocket = '/run/docker/plugins/holdfast-global.sock';

export async function runPlugin(session: Session, flags: PluginFlags): Promise<void> {
  if (flags.shared !== undefined && flags.stateFrom !== undefined)
    throw new AppError('usage', 'A managed plugin serves no shared volumes: leave out --shared');
  const sharedDir = flags.shared === undefined ? undefined : path.resolve(flags.shared);
  const request = serviceRequest(session, flags, sharedDir === undefined ? usualSocket : usualSharedSocket);
  const { stateDir } = session.config;
  const shown = flags.stateFrom === undefined ? undefined : { stateDir, from: path.resolve(flags.stateFrom) };
  const { app } = session;
  const openVolumes = async (): ReturnType<typeof app.volumes.managed> => {
    await app.recoverAtStart('own');
    return await app.volumes.managed();
  };
  await servePlugin(openVolumes, {
    ...request,
    shown,
    stateDir,
    sharedDir,
    openRecords: (driver) => app.engineLinks.openRecords(driver),
  });
  request.say('The plugin has ended. What is mounted stays so.');
}
