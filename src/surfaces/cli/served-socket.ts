import { activatedSocket } from '../serve/activated-socket.ts';
import { groupNumber } from '../../lib/user-names.ts';
import { type ServedSocket } from '../serve/serve-http.ts';
import { tryNotifyService } from '../../lib/notify-service.ts';
import { AppError } from '../../model/errors.ts';
import { printableField } from '../../model/quote.ts';
import path from 'node:path';
import type { Session } from './session.ts';

export interface SocketFlags {
  readonly socket?: string;
  readonly group?: string;
}

export interface ServiceRequest {
  readonly socket: ServedSocket;
  readonly signal: AbortSignal;
  readonly say: (message: string) => void;
  readonly onReady: () => void;
}

/** The socket that systemd opened for this process, or one at the requested path. */
export function serviceRequest(session: Session, flags: SocketFlags, usual?: string): ServiceRequest {
  const { context, signal } = session;
  const fd = activatedSocket(context.env, process.pid);
  const wanted = flags.socket ?? usual;
  if (wanted === undefined && fd === undefined) {
    throw new AppError('usage', 'Flag "--socket" is missing', {
      hint: 'Say where: --socket /run/holdfast/docker.sock.',
    });
  }
  const say = (message: string): void => session.warn(printableField(message));
  return {
    socket: {
      path: wanted === undefined ? 'the socket of the service manager' : path.resolve(wanted),
      mode: 0o660,
      gid: flags.group === undefined ? undefined : groupOf(flags.group),
      fd,
    },
    signal,
    say,
    onReady: () => tryNotifyService(context.env, 'READY=1', say),
  };
}

function groupOf(name: string): number {
  const gid = /^\d+$/.test(name) ? Number(name) : groupNumber(name);
  if (gid !== undefined) return gid;
  throw new AppError('usage', `There is no group "${name}" on this machine`);
}
