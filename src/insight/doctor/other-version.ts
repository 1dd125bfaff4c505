import { closeSync, readSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Container, ContainerMount } from '../../hosts/containers.ts';
import { openRegular } from '../../lib/open-regular.ts';
import { openTrusted } from '../../lib/open-trusted.ts';
import { fromText } from '../../model/byte-string.ts';
import { isWithin } from '../../model/clean-path.ts';
import { quote } from '../../model/quote.ts';
import type { Diagnosis, DoctorFinding } from './diagnosis.ts';
import type { PatientMount } from './patients.ts';

/** Data of another major version of PostgreSQL than the image has, as after an update of the image: it does not start. */
export function diagnoseVersions(mounts: readonly PatientMount[], nowMs: number): Diagnosis {
  const findings = mounts.flatMap((patient) => {
    const { container, mount, hostPath } = patient;
    // What the official image, and those that are made from it, say of themselves.
    const { PG_MAJOR: version = '', PGDATA: data = '/var/lib/postgresql/data' } = container.environment;
    if (hostPath === undefined || !/^\d+(?:\.\d+)?$/.test(version)) return [];
    if (mountOf(data, container) !== mount || hasStarted(container, nowMs)) return [];
    const folder = join(hostPath, relative(mount.destination, data));
    const found = versionIn(folder);
    return found === undefined || found === version
      ? []
      : [otherVersion(patient, { version, found, folder, data })];
  });
  return { findings, notLookedAt: [] };
}

/** The one that the container sees there: another may hide what the outer one has. */
function mountOf(place: string, { mounts }: Container): ContainerMount | undefined {
  return mounts
    .filter(({ destination }) => isWithin(place, destination))
    .toSorted((a, b) => b.destination.length - a.destination.length)[0];
}

/** A server ends at once for such data: what runs for longer does something else with it, such as saving it. */
function hasStarted({ pid, startedAt = '' }: Container, nowMs: number): boolean {
  return pid !== undefined && Date.parse(startedAt) + 60_000 < nowMs;
}

/** Undefined where there is no data yet, or where this user may not look. */
function versionIn(place: string): string | undefined {
  try {
    using folder = openTrusted(fromText(place));
    const { fd } = openRegular(folder.fd, 'PG_VERSION');
    try {
      const bytes = Buffer.alloc(16);
      const text = bytes.toString('latin1', 0, readSync(fd, bytes)).trim();
      return /^\d+(?:\.\d+)?$/.test(text) ? text : undefined;
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

function otherVersion(
  { container: { name } }: PatientMount,
  {
    version,
    found,
    folder,
    data,
  }: { readonly version: string; readonly found: string; readonly folder: string; readonly data: string },
): DoctorFinding {
  return {
    id: 'HF-D025',
    rule: 'other-version',
    severity: 'downtime',
    subject: { kind: 'container', name },
    message: `${quote(name)} is PostgreSQL ${version}, and its data at ${quote(data)} is of PostgreSQL ${found}`,
    meaning: `It does not start: "The data directory was initialized by PostgreSQL version ${found}". The data is unharmed.`,
    evidence: [`${quote(join(folder, 'PG_VERSION'))} says ${found}, and the image PG_MAJOR=${version}`],
    remedy: `Go back to an image of PostgreSQL ${found}. To change the version, save everything with pg_dumpall there, and load that into an empty volume with the other image.`,
    commands: [],
    position: undefined,
    fix: undefined,
  };
}
