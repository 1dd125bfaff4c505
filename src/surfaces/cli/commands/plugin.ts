import { serviceRequest, type SocketFlags } from '../served-socket.ts';
import type { Session } from '../session.ts';

export type PluginFlags = SocketFlags;

const usualSocket = '/run/docker/plugins/holdfast.sock';

export async function runPlugin(session: Session, flags: PluginFlags): Promise<void> {
  const request = serviceRequest(session, flags, usualSocket);
  await session.app.servePlugin(request);
  request.say('The plugin has ended. What is mounted stays so.');
}
