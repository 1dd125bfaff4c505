import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { AppError, errnoOf, isAppError } from '../../model/errors.ts';
import type { EngineClient } from './engine-client.ts';
import type { EngineContainer } from './engine-types.ts';
import { helperLabel, helperNamePrefix, isHelper } from './image-labels.ts';

/** Where a helper mounts its volume. */
export const helperMountpoint = '/volume';

const ownerLabel = 'holdfast.helper.owner';

interface HelperOptions {
  readonly volume: string;
  readonly write: boolean;
}

/** A container that is created, and never started, to lend its mount of a volume to the archive endpoints. */
export interface HelperContainer {
  readonly id: string;
  readonly name: string;
}

/** Creates a helper. No container remains if this fails. */
export async function createHelper(client: EngineClient, options: HelperOptions): Promise<HelperContainer> {
  const name = `${helperNamePrefix}${randomBytes(8).toString('hex')}`;
  try {
    const id = await createContainer(client, name, options).catch(async (error: unknown) => {
      if (!isMissingImage(error)) throw error;
      await importEmptyImage(client);
      return await createContainer(client, name, options);
    });
    return { id, name };
  } catch (error) {
    // The engine may have created it without our getting the response.
    await removeHelper(client, name).catch(() => undefined);
    throw error;
  }
}

/** Removes a helper; a missing one is no error. */
export async function removeHelper(client: EngineClient, idOrName: string): Promise<void> {
  try {
    await client.json({
      method: 'DELETE',
      path: `/containers/${idOrName}?force=1`,
      action: `Cannot remove the helper container "${idOrName}"`,
    });
  } catch (error) {
    // 409 is "removal is already in progress".
    if (!isAppError(error, 'not-found') && !isAppError(error, 'conflict')) throw error;
  }
}

/** Removes helpers whose process has ended. Helpers that cannot be judged from here stay for a week. */
export async function removeStaleHelpers(client: EngineClient, signal?: AbortSignal): Promise<void> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`${helperLabel}=true`] }));
  const containers = await client.json<readonly (EngineContainer & { readonly Created?: number })[]>({
    method: 'GET',
    path: `/containers/json?all=1&filters=${filters}`,
    action: 'Cannot list containers',
    signal,
  });
  const self = ownProcess();
  for (const container of containers) {
    if (!isHelper(container)) continue;
    if (isStale(container.Labels?.[ownerLabel], { self, createdSeconds: container.Created ?? 0 })) {
      await removeHelper(client, container.Id);
    }
  }
}

async function createContainer(client: EngineClient, name: string, options: HelperOptions): Promise<string> {
  const created = await client.json<{ readonly Id: string }>({
    method: 'POST',
    path: `/containers/create?name=${name}`,
    action: `Cannot open volume "${options.volume}" through the engine`,
    json: {
      Image: emptyImage,
      // Never runs; the engine requires a command.
      Cmd: ['-'],
      Labels: { [helperLabel]: 'true', [ownerLabel]: JSON.stringify(ownProcess()) },
      NetworkDisabled: true,
      HostConfig: {
        NetworkMode: 'none',
        RestartPolicy: { Name: 'no' },
        LogConfig: { Type: 'none' },
        Mounts: [
          {
            Type: 'volume',
            Source: options.volume,
            Target: helperMountpoint,
            ReadOnly: !options.write,
            // Otherwise the engine copies the image's content at that path into an empty volume.
            VolumeOptions: { NoCopy: true },
          },
        ],
      },
    },
  });
  return created.Id;
}

function isMissingImage(error: unknown): boolean {
  return isAppError(error, 'not-found') && /no such image/i.test(error.detail ?? '');
}

/** Identifies a process despite reuse of its number, reboots, and other machines and containers. */
export interface OwnerProcess {
  readonly machine: string;
  readonly boot: string;
  readonly pidNamespace: string;
  readonly pid: number;
  readonly startTicks: string;
}

const unjudgedSeconds = 7 * 24 * 3600;

/** Whether a helper's owner has certainly ended. */
export function isStale(
  owner: string | undefined,
  options: { readonly self: OwnerProcess; readonly createdSeconds: number },
): boolean {
  const isOld = Date.now() / 1000 - options.createdSeconds > unjudgedSeconds;
  const parsed = parseOwner(owner);
  if (parsed === undefined) return isOld;
  const { self } = options;
  if (parsed.boot !== self.boot || parsed.pidNamespace !== self.pidNamespace) return isOld;
  const startTicks = startTicksOf(parsed.pid);
  return startTicks === undefined ? !isAlive(parsed.pid) : startTicks !== parsed.startTicks;
}

/** For a /proc that hides other users' processes. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errnoOf(error) !== 'ESRCH';
  }
}

function ownProcess(): OwnerProcess {
  return {
    machine: hostname(),
    boot: readOr(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), ''),
    pidNamespace: readOr(() => readlinkSync('/proc/self/ns/pid'), ''),
    pid: process.pid,
    startTicks: startTicksOf(process.pid) ?? '',
  };
}

/** Field 22 of `/proc/PID/stat`; the command before it may hold blanks and brackets. Undefined when there is no such process. */
function startTicksOf(pid: number): string | undefined {
  const stat = readOr(() => readFileSync(`/proc/${pid}/stat`, 'latin1'), '');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

function parseOwner(text: string | undefined): OwnerProcess | undefined {
  try {
    const value = JSON.parse(text ?? '') as OwnerProcess;
    return Number.isSafeInteger(value.pid) ? value : undefined;
  } catch {
    return undefined;
  }
}

function readOr<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}

/** An empty image, created here: helpers need one, and nothing is ever pulled. */
const emptyImage = 'holdfast/empty:1';

/** Imports the image into the engine. May be repeated. */
async function importEmptyImage(client: EngineClient): Promise<void> {
  const [repository = '', tag = ''] = emptyImage.split(':');
  const query = new URLSearchParams({
    fromSrc: '-',
    repo: repository,
    tag,
    changes: 'LABEL holdfast.helper=true',
  });
  const call = {
    method: 'POST',
    path: `/images/create?${query.toString()}`,
    action: `Cannot make the image "${emptyImage}"`,
    headers: { 'Content-Type': 'application/x-tar' },
  } as const;
  const { request, answer } = await client.send(call);
  // A tar archive without members: two blocks of zeros.
  request.end(Buffer.alloc(1024));
  const response = await answer;
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch (error) {
    throw client.failure(call, error);
  }
  // The status is 200 before the work is done: a failure is a line in the body.
  const text = Buffer.concat(chunks).toString('utf8');
  if (text.includes('"error"'))
    throw new AppError('failed', call.action, { detail: `The engine says: ${text.trim()}` });
}
