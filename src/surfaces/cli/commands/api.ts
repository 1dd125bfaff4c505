import { serveApi } from '../../docker-api/serve-api.ts';
import { serviceRequest, type SocketFlags } from '../served-socket.ts';
import type { Session } from '../session.ts';

export interface ApiFlags extends SocketFlags {
  readonly upstream?: string;
}

export async function runApi(session: Session, flags: ApiFlags): Promise<void> {
  const request = serviceRequest(session, flags);
  const { app } = session;
  const { engineLinks } = app;
  await serveApi(
    {
      async openVolumes() {
        await app.recoverAtStart('own');
        return { volumes: await app.volumes.managed(), identity: await engineLinks.identity() };
      },
      openSizes: () => engineLinks.openSizes(),
      async openTrash() {
        await app.recoverAtStart('own');
        const trash = await engineLinks.openTrash();
        return (volume, removeThere) => trash.take(volume, removeThere);
      },
      isProtected: (engineId, name) => engineLinks.isProtected(engineId, name),
    },
    { ...request, upstream: flags.upstream },
  );
  request.say('The API is served no more.');
}
