import path from 'node:path';
import { serviceRequest, type SocketFlags } from '../served-socket.ts';
import type { Session } from '../session.ts';

export interface PluginFlags extends SocketFlags {
  readonly stateFrom?: string;
}

const usualSocket = '/run/docker/plugins/holdfast.sock';

export async function runPlugin(session: Session, flags: PluginFlags): Promise<void> {
  const request = serviceRequest(session, flags, usualSocket);
  const { stateDir } = session.config;
  const shown = flags.stateFrom === undefined ? undefined : { stateDir, from: path.resolve(flags.stateFrom) };
  await session.app.servePlugin({ ...request, shown, stateDir });
  request.say('The plugin has ended. What is mounted stays so.');
}
