import { serviceRequest, type SocketFlags } from '../served-socket.ts';
import type { Session } from '../session.ts';

export interface ApiFlags extends SocketFlags {
  readonly upstream?: string;
}

export async function runApi(session: Session, flags: ApiFlags): Promise<void> {
  const request = serviceRequest(session, flags);
  await session.app.serveDockerApi({ ...request, upstream: flags.upstream });
  request.say('The API is served no more.');
}
