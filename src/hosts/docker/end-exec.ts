import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineClient } from './engine-client.ts';
import type { EngineExec } from './engine-types.ts';

/** A variable in the environment of what we run in a container, and of all that it starts. */
export const markerVariable = 'HOLDFAST_EXEC';

export interface ExecToEnd {
  readonly client: EngineClient;
  readonly execId: string;
  readonly containerId: string;
  readonly marker: string;
}

const stepMs = 100;
/** Politely first, then by force. */
const politeSteps = 20;
const forceSteps = 20;

/**
 * Ends a command that runs in a container, with all that it has started, and gives its exit number; undefined when it
 * could not be ended. Never throws. Works without a signal: it is what a cancel does.
 */
export async function endExec(exec: ExecToEnd): Promise<number | undefined> {
  try {
    for (let step = 0; step < politeSteps + forceSteps; step += 1) {
      const { Running: isRunning, ExitCode: exitCode } = await inspectExec(exec);
      if (isRunning !== true) return exitCode ?? undefined;
      if (step % 5 === 0) await send(exec, step < politeSteps ? 'TERM' : 'KILL');
      await sleep(stepMs);
    }
  } catch {
    // The engine is gone, or the container: there is nothing left to end.
  }
  return undefined;
}

async function inspectExec({ client, execId }: ExecToEnd): Promise<EngineExec> {
  return await client.json<EngineExec>({
    method: 'GET',
    path: `/exec/${execId}/json`,
    action: 'Cannot ask about a command in a container',
    deadlineMs: 5000,
  });
}

async function send(exec: ExecToEnd, signal: 'TERM' | 'KILL'): Promise<void> {
  if (exec.client.endpoint.kind === 'unix' && signalHere(exec.marker, signal)) return;
  await signalInside(exec, signal);
}

/** Signals the marked processes when the engine's machine is this one, and says whether there were any. */
function signalHere(marker: string, signal: 'TERM' | 'KILL'): boolean {
  const line = `${markerVariable}=${marker}`;
  let found = false;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(line)) continue;
      process.kill(Number(pid), `SIG${signal}`);
      found = true;
    } catch {
      // It ended in the meantime, or is not ours to look at.
    }
  }
  return found;
}

/** The same from inside the container, where it has a shell and grep. The marker is an argument, never part of the text. */
const script = 'for d in /proc/[0-9]*; do grep -qs "$1" "$d/environ" && kill "-$2" "${d#/proc/}"; done; true';

async function signalInside({ client, containerId, marker }: ExecToEnd, signal: string): Promise<void> {
  const action = 'Cannot end a command in a container';
  const { Id: id } = await client.json<{ readonly Id: string }>({
    method: 'POST',
    path: `/containers/${encodeURIComponent(containerId)}/exec`,
    action,
    json: { User: '0', Cmd: ['sh', '-c', script, 'sh', `${markerVariable}=${marker}`, signal] },
    deadlineMs: 5000,
  });
  await client.json({
    method: 'POST',
    path: `/exec/${id}/start`,
    action,
    json: { Detach: true },
    deadlineMs: 5000,
  });
}
