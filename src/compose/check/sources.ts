import { basename, extname } from 'node:path';
import { cleanPath } from '../../model/clean-path.ts';
import type { Finding } from '../../model/finding.ts';
import { quote } from '../../model/quote.ts';
import type { ComposeProject } from '../compose-project.ts';
import type { ProjectFacts } from '../project-facts.ts';
import { boundDeviceOf, mountsOf, type ProjectMount } from '../project-mounts.ts';
import { findingOf } from './rules.ts';

/** What "up" does with folders and files of this machine that are not there. Pure. */
export function findMissingSources(project: ComposeProject, facts: ProjectFacts): Finding[] {
  const found = new Map<string, Finding>();
  const mounts = mountsOf(project);
  // What comes by `volumes_from` is to be mended where it is written.
  const written = mounts.filter(({ raw }) => raw !== undefined);
  for (const mount of [...written, ...mounts.filter(({ raw }) => raw === undefined)]) {
    const { mount: what } = mount;
    // One finding for each path, at the first service that mounts it.
    if (what.type !== 'bind' || found.has(what.source)) continue;
    const fact = facts.paths.get(cleanPath(what.source));
    if (fact?.kind === 'missing')
      found.set(what.source, missingSource(mount, what.source, what.createSource));
    if (fact?.kind === 'folder' && fact.isEmpty && isFileMeant(mount))
      found.set(what.source, folderInTheWay(mount, what.source));
  }
  return [...found.values()];
}

function missingSource(mount: ProjectMount, source: string, isMade: boolean): Finding {
  const { service, from, destination, position } = mount;
  const details = {
    subject: { kind: 'path', name: source } as const,
    message: `${quote(source)}, which service ${quote(service.name)} mounts at ${quote(destination)}, does not exist`,
    position,
  };
  if (isFileMeant(mount))
    return findingOf(isMade ? 'folder-for-file' : 'missing-source', {
      ...details,
      remedy: source.endsWith('.sock')
        ? 'Start what listens on that socket before "up".'
        : `Put the ${from === 'volumes' ? 'file' : `file of the ${from.slice(0, -1)}`} there before "up".`,
    });
  return findingOf(isMade ? 'missing-bind-source' : 'missing-source', {
    ...details,
    remedy: 'Make it before "up", with the owner that the service needs.',
    commands: [['holdfast', 'compose', 'prepare']],
  });
}

function folderInTheWay({ service, destination, position }: ProjectMount, source: string): Finding {
  return findingOf('folder-in-the-way', {
    subject: { kind: 'path', name: source },
    message: `${quote(source)}, which service ${quote(service.name)} mounts at ${quote(destination)}, is an empty folder`,
    remedy: 'Remove the folder, and put the file there.',
    commands: [['rmdir', source]],
    position,
  });
}

/** Names of files that have no ending of a file. */
const bareNames = new Set(
  (
    'caddyfile dockerfile makefile passwd group shadow hosts resolv.conf crontab ' +
    '.env .htpasswd .pgpass .netrc .npmrc .gitconfig .gitignore .dockerignore .bashrc .vimrc .profile'
  ).split(' '),
);

/** Endings that files have. A folder may well be called `example.com` or `conf.d`. */
const fileEndings = new Set(
  (
    'conf cnf cfg config ini yml yaml json jsonc json5 toml xml properties env txt md csv sql sh bash py js mjs ts rb pl php lua ' +
    'html css pem crt cer cert csr key pub p12 pfx jks keystore htpasswd sock socket pid list rules acl cf vcl hcl tf neon ' +
    'template tmpl tpl j2 service timer db sqlite sqlite3 jar war so gz tgz zip tar log lock license secret token'
  ).split(' '),
);

/**
 * Whether a mount's source is meant to be a file: what is a config or a secret, and what has an ending on both
 * sides (`./app.yml:/etc/app.yml`). A folder with a point in its name is on one side alone, as a rule.
 */
export function isFileMeant({ from, mount, destination }: ProjectMount): boolean {
  if (mount.type !== 'bind') return false;
  if (from !== 'volumes') return true;
  if (mount.source.endsWith('/') || mount.target.endsWith('/')) return false;
  return hasFileName(mount.source) && hasFileName(destination);
}

function hasFileName(path: string): boolean {
  const name = basename(path).toLowerCase();
  return bareNames.has(name) || fileEndings.has(extname(name).slice(1));
}

/** Devices of volumes that bind a folder. Pure. */
export function findMissingDevices(project: ComposeProject, facts: ProjectFacts): Finding[] {
  const mounted = new Set(mountsOf(project).map(({ volume }) => volume?.key));
  return [...project.volumes.values()].flatMap((volume) => {
    const device = boundDeviceOf(volume);
    // A volume that nothing mounts is not made, and one that is there already is another finding.
    if (device === undefined || volume.external || !mounted.has(volume.key)) return [];
    const position = project.positionOf(['volumes', volume.key, 'driver_opts', 'device']);
    const subject = { kind: 'volume', name: volume.name } as const;
    if (!device.startsWith('/'))
      return [
        findingOf('relative-device', {
          subject,
          message: `Volume ${quote(volume.key)} has the relative device ${quote(device)}`,
          remedy: 'Write an absolute path, or "driver: local" and "o: bind".',
          position,
        }),
      ];
    const fact = facts.paths.get(cleanPath(device));
    if (fact?.kind !== 'missing') return [];
    return [
      findingOf('missing-device', {
        subject,
        message: `The folder ${quote(device)} of volume ${quote(volume.key)} does not exist`,
        evidence: fact.from === cleanPath(device) ? [] : [`${quote(fact.from)} is not there either.`],
        remedy: 'Make it before "up", with the owner that the service needs.',
        commands: [['holdfast', 'compose', 'prepare']],
        position,
      }),
    ];
  });
}
