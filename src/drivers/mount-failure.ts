import { AppError, type ErrorCode } from '../model/errors.ts';
import { quote } from '../model/quote.ts';

export interface MountFailure {
  readonly name: string;
  readonly source: string;
  readonly type: string | undefined;
  /** The error output of mount(8) or its helper. */
  readonly stderr: string;
}

interface Meaning {
  readonly pattern: RegExp;
  readonly code: ErrorCode;
  readonly words: (failure: MountFailure) => string;
  readonly hint?: string;
}

const meanings: readonly Meaning[] = [
  {
    pattern: /you might need a .* helper program/i,
    code: 'unsupported',
    words: ({ type }) => `the program mount.${type ?? ''} is not installed`,
    hint: 'On Debian: apt-get install nfs-common for NFS, cifs-utils for CIFS.',
  },
  {
    pattern: /mount error\(13\)/i,
    code: 'denied',
    words: ({ source }) => `the server refuses the user or the password for ${quote(source)}`,
    hint: 'Check what "-o credentials=…" or "-o password=…" names, and the domain.',
  },
  {
    pattern: /mount error\((?:2|6)\)/i,
    code: 'not-found',
    words: ({ source }) => `the server has no share ${quote(source)}`,
    hint: 'List its shares with: smbclient -L SERVER.',
  },
  {
    pattern: /mount error\((?:95|22)\)/i,
    code: 'failed',
    words: () => 'the server and this kernel have no version of SMB in common, or an option is wrong',
    hint: 'Try vers=3.0 or vers=2.1 in "-o o=…".',
  },
  {
    pattern: /unknown filesystem type|filesystem .*not (?:supported|configured)|No such device/i,
    code: 'unsupported',
    words: ({ type }) => `this kernel has no file system ${quote(type ?? 'of this kind')}`,
    hint: 'Load its module (modprobe), or use a kernel that has it.',
  },
  {
    pattern: /^mount\.nfs4?: Operation not permitted/m,
    code: 'denied',
    words: ({ source }) => `the server refuses ${quote(source)}`,
    hint: 'It may take calls from ports below 1024 only: leave "noresvport" out of "-o o=…", or export it with "insecure" at the server.',
  },
  {
    pattern: /must be superuser|operation permitted|Operation not permitted|only root can/i,
    code: 'denied',
    words: () => 'not permitted',
    hint: 'Mounting needs root.',
  },
  {
    pattern: /Stale file handle/i,
    code: 'unavailable',
    words: ({ source }) => `the server does not know ${quote(source)} any more (stale handle)`,
    hint: 'The export was removed or made anew. Export it again on the server, then mount again.',
  },
  {
    pattern: /access denied by server|Permission denied/i,
    code: 'denied',
    words: ({ source }) => `the server refuses ${quote(source)}`,
    hint: 'Check that the export is there, and that the server lets this machine and user have it.',
  },
  {
    pattern: /Connection refused/i,
    code: 'unavailable',
    words: ({ source }) => `the server of ${quote(source)} refuses the connection`,
    hint: 'Check that the service runs there, and the port.',
  },
  {
    pattern: /timed out|No route to host|unreachable|Host is down/i,
    code: 'unavailable',
    words: ({ source }) => `the server of ${quote(source)} does not answer`,
    hint: 'Check that it is up, and that no firewall is between.',
  },
  {
    pattern: /wrong fs type|bad superblock|Structure needs cleaning|can't read superblock|bad option/i,
    code: 'failed',
    words: ({ source, type }) =>
      `${quote(source)} is no good ${type ?? 'file system'}, or an option is wrong`,
    hint: 'See the kernel log (dmesg) for its reason; check the file system with fsck.',
  },
  {
    pattern: /special device .* does not exist|No such file or directory/i,
    code: 'not-found',
    words: ({ source }) => `${quote(source)} does not exist`,
  },
  {
    pattern: /already mounted|busy|Can't open blockdev/i,
    code: 'in-use',
    words: ({ source }) => `${quote(source)} is in use elsewhere`,
  },
];

/** Explains mount(8)'s error, and what to do. Secrets in it are masked. */
export function explainMountFailure(failure: MountFailure): AppError {
  const meaning = meanings.find(({ pattern }) => pattern.test(failure.stderr));
  const detail = maskSecrets(failure.stderr);
  const words = meaning?.words(failure) ?? (detail.split('\n', 1)[0] || 'mount failed');
  return new AppError(meaning?.code ?? 'failed', `Cannot mount volume ${quote(failure.name)}: ${words}`, {
    detail: detail === '' ? undefined : detail,
    hint: meaning?.hint,
  });
}

function maskSecrets(text: string): string {
  return text.replace(/\b(pass(?:word)?2?=)[^,\s]*/gi, '$1***');
}
