import type { EngineRecords, ForeignTrash, ManagedVolumes } from '../app.ts';
import type { ApiServiceRequest } from './docker-api/serve-api.ts';
import type { PluginServiceRequest } from './docker-plugin/serve-plugin.ts';

/** What runs until it is told to end, for programs that speak Docker's protocols. */
export interface Services {
  /** Serves the volume plugin protocol on a socket. No answer waits for a container engine. */
  servePlugin(request: Omit<PluginServiceRequest, 'openRecords'>): Promise<void>;
  /** Serves the volumes' part of Docker's API, or with an upstream all of it, on a socket. */
  serveDockerApi(request: ApiServiceRequest): Promise<void>;
}

export interface ServicesParts {
  managed(): Promise<ManagedVolumes>;
  /** For one process at a time. */
  foreignTrash(): Promise<ForeignTrash>;
  /** Of a volume of the engine with this id. */
  isProtected(engineId: string, name: string): Promise<boolean>;
  /** Of the state folder. */
  identity(): Promise<string>;
  /** Of the engine that is to have our volumes by a plugin of this name. */
  engineRecords(driver: string): Promise<EngineRecords>;
}

/** Each surface is loaded when it is served. */
export function openServices(parts: ServicesParts): Services {
  return {
    async servePlugin(request) {
      const { servePlugin } = await import('./docker-plugin/serve-plugin.ts');
      await servePlugin(() => parts.managed(), {
        ...request,
        openRecords: (driver) => parts.engineRecords(driver),
      });
    },
    async serveDockerApi(request) {
      const { serveApi } = await import('./docker-api/serve-api.ts');
      await serveApi(
        {
          async openVolumes() {
            return { volumes: await parts.managed(), identity: await parts.identity() };
          },
          async openTrash() {
            const trash = await parts.foreignTrash();
            return (volume, removeThere) => trash.take(volume, removeThere);
          },
          isProtected: (engineId, name) => parts.isProtected(engineId, name),
        },
        request,
      );
    },
  };
}

export type { ApiServiceRequest, PluginServiceRequest };
