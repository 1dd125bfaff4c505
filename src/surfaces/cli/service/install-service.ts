import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { makeFolders, writeDurably } from '../../../lib/durable-file.ts';
import { type ProgramResult, runProgram } from '../../../lib/run-program.ts';
import { AppError, errnoOf } from '../../../model/errors.ts';
import { quote } from '../../../model/quote.ts';
import type { ServiceUnit } from './daemon-service.ts';
import { unitHeader } from './unit-text.ts';

/** systemd's state of a service. */
export interface ServiceState {
  /** `active` while it runs and is ready; `activating` also between two starts; `inactive`; `failed`. */
  readonly active: string;
  /** It starts at boot. */
  readonly isEnabled: boolean;
  /** The installed unit equals the one that would be installed now. */
  readonly isCurrent: boolean;
  /** How it last ended, in systemd's words: `success`, `exit-code`, `watchdog`. */
  readonly result: string;
}

export interface ServiceOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface InstallOptions extends ServiceOptions {
  /** Remarks for people. */
  readonly onNote?: ((message: string) => void) | undefined;
}

/** A start waits for the unit's dependencies, and for the previous daemon to end. */
const startMs = 10 * 60_000;

/** True when systemd runs this machine; false in most containers. */
export function hasSystemd(): boolean {
  return existsSync('/run/systemd/system');
}

/**
 * Installs the unit, enables it at boot, and returns when the daemon is ready. Idempotent: a daemon that runs
 * with the same unit is left alone. `unsupported` without systemd; `conflict` for a foreign unit of that
 * name; `failed`, with the daemon's last log lines, when it does not start.
 */
export async function installService(
  service: ServiceUnit,
  options: InstallOptions = {},
): Promise<ServiceState> {
  requireSystemd();
  const installed = await installedUnit(service);
  if (installed !== undefined && !isMadeHere(installed))
    throw new AppError('conflict', `The unit ${quote(service.path)} was not made by Holdfast`, {
      hint: 'Remove it, or go on with it: "holdfast daemon --print-unit" shows what it should say.',
    });
  const isCurrent = installed === service.text;
  if (!isCurrent) {
    await makeFolders(path.dirname(service.path), { mode: 0o755 });
    await writeDurably(service.path, service.text, { mode: 0o644 });
  }
  await must(service, ['daemon-reload'], options);
  await must(service, ['enable', service.name], options);
  if (service.scope === 'user') await letLinger(options);
  await start(service, isCurrent ? 'start' : 'restart', options);
  return await serviceState(service, options);
}

/**
 * A user's services end with the last session unless they may linger. Where that is forbidden, a note says so: the
 * service is started all the same.
 */
export async function letLinger({ signal, onNote }: InstallOptions): Promise<void> {
  const { status, stderr } = await runProgram('loginctl', ['enable-linger'], { signal });
  if (status === 0) return;
  const reason = stderr.replace(/\.$/, '') || 'loginctl failed';
  onNote?.(
    `The service ends with your last session: ${reason}. An administrator can let it go on: loginctl enable-linger USER`,
  );
}

/** Changes nothing. */
export async function serviceState(
  service: ServiceUnit,
  options: ServiceOptions = {},
): Promise<ServiceState> {
  requireSystemd();
  const asked = ['show', '--property=ActiveState,UnitFileState,Result', service.name];
  const { stdout } = await must(service, asked, options);
  const values = new Map(stdout.split('\n').map((line) => [line.split('=')[0], line.replace(/^[^=]*=/, '')]));
  return {
    active: values.get('ActiveState') ?? 'inactive',
    isEnabled: values.get('UnitFileState') === 'enabled',
    isCurrent: (await installedUnit(service)) === service.text,
    result: values.get('Result') ?? '',
  };
}

function requireSystemd(): void {
  if (hasSystemd()) return;
  throw new AppError('unsupported', 'No service can be installed: systemd does not run this machine', {
    hint: 'Have "holdfast daemon" started by what starts services here.',
  });
}

/**
 * False for a foreign unit, and for one of a Holdfast that did not mark its own: both may hold what users
 * wrote.
 */
export function isMadeHere(unit: string): boolean {
  return unit.startsWith(`${unitHeader}\n`);
}

/** The unit in the service's place; undefined for none. */
export async function installedUnit(service: ServiceUnit): Promise<string | undefined> {
  try {
    return await readFile(service.path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function start(
  service: ServiceUnit,
  verb: 'start' | 'restart',
  { signal }: ServiceOptions,
): Promise<void> {
  const { status, stderr } = await systemctl(service, [verb, service.name], { signal, timeoutMs: startMs });
  if (status === 0) return;
  const words = await lastWords(service, { signal });
  throw new AppError('failed', `The service ${quote(service.name)} does not start`, {
    detail: words === '' ? stderr : words,
    hint: `All that it said: journalctl ${userFlag(service).join(' ')} -u ${service.name}`.replace('  ', ' '),
  });
}

/** The daemon's last log lines. Empty when the journal cannot be read. */
async function lastWords(service: ServiceUnit, { signal }: ServiceOptions): Promise<string> {
  const args = [...userFlag(service), '--unit', service.name, '--lines=10', '--output=cat', '--no-pager'];
  try {
    return (await runProgram('journalctl', args, { signal })).stdout.trim();
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof AppError) return '';
    throw error;
  }
}

async function must(
  service: ServiceUnit,
  args: readonly string[],
  options: ServiceOptions,
): Promise<ProgramResult> {
  const result = await systemctl(service, args, options);
  if (result.status === 0) return result;
  throw new AppError('failed', `The service ${quote(service.name)} cannot be managed`, {
    detail: result.stderr,
  });
}

async function systemctl(
  service: ServiceUnit,
  args: readonly string[],
  options: ServiceOptions & { readonly timeoutMs?: number },
): Promise<ProgramResult> {
  return await runProgram('systemctl', [...userFlag(service), ...args], options);
}

function userFlag({ scope }: ServiceUnit): string[] {
  return scope === 'user' ? ['--user'] : [];
}
