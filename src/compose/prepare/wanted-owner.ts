import type { Image } from '../../hosts/containers.ts';
import { quote } from '../../model/quote.ts';
import type { ComposeService } from '../compose-project.ts';
import {
  type ContainerOwners,
  numbersOf,
  type Owner,
  ownerOnMachine,
  rootOwner,
} from '../container-owners.ts';

/** Who should own a folder that a service writes to, and how that is known. */
export interface WantedOwner {
  /** Undefined: that of the folder above, as for what containers only read. */
  readonly owner: Owner | undefined;
  /** Permission bits of a new folder. */
  readonly mode: number;
  /** `the user 1000:1000 of service "web"`, for the plan. */
  readonly because: string;
  /** Something that the user has to see to. */
  readonly doubt?: string;
}

interface KnownImage {
  /** The last parts of the image's name. */
  readonly names: readonly string[];
  readonly owner: readonly [uid: number, gid: number];
  /** Of the image on Alpine Linux, where its numbers are others. */
  readonly alpine?: readonly [uid: number, gid: number];
}

/**
 * Servers that start as root and change to a user of their own, so that the image declares none. Numbers from the
 * images' Dockerfiles.
 */
const knownImages: readonly KnownImage[] = [
  { names: ['postgres', 'postgis/postgis', 'pgvector/pgvector'], owner: [999, 999], alpine: [70, 70] },
  { names: ['timescale/timescaledb'], owner: [70, 70] },
  { names: ['mysql', 'mysql/mysql-server', 'mariadb', 'percona'], owner: [999, 999] },
  { names: ['mongo'], owner: [999, 999] },
  { names: ['redis', 'valkey/valkey', 'valkey'], owner: [999, 999], alpine: [999, 1000] },
  { names: ['cassandra'], owner: [999, 999] },
  { names: ['rabbitmq'], owner: [999, 999], alpine: [100, 101] },
  { names: ['couchdb'], owner: [5984, 5984] },
  { names: ['neo4j'], owner: [7474, 7474] },
];

/** The owner that a service wants for what it writes, by the numbers of this machine. Pure. */
export function wantedOnMachine(
  service: Pick<ComposeService, 'user' | 'image' | 'usernsMode'>,
  image: Image | undefined,
  owners: ContainerOwners,
): WantedOwner {
  const wanted = wantedOwner(service, image);
  const { because, doubt } = wanted;
  if (wanted.owner === undefined && doubt !== undefined) return wanted;
  const inside = wanted.owner ?? rootOwner;
  const owner = ownerOnMachine(inside, owners, service.usernsMode);
  if (typeof owner === 'string')
    return { owner: undefined, mode: 0o755, because, doubt: `No owner was chosen: ${owner}.` };
  if (owner.uid === inside.uid && owner.gid === inside.gid) return wanted;
  return { ...wanted, owner, because: `${because}, ${numbersOf(inside)} in the container` };
}

/** The owner that a service wants for what it writes, by the numbers of its container. Pure. */
export function wantedOwner(
  service: Pick<ComposeService, 'user' | 'image'>,
  image: Image | undefined,
): WantedOwner {
  const known = knownImageOf(service.image);
  const asked = parseNumbers(service.user);
  if (asked !== undefined) return { owner: asked, mode: 0o755, because: `"user" of the service` };
  const declared = parseNumbers(image?.user);
  if (service.user === undefined && declared !== undefined && declared.uid !== 0)
    return { owner: declared, mode: 0o755, because: 'USER of its image' };
  if (service.user === undefined && known !== undefined && (image === undefined || image.user === '')) {
    const [uid, gid] = known;
    return { owner: { uid, gid }, mode: 0o700, because: 'the user that this database changes to' };
  }
  const name = service.user ?? image?.user ?? '';
  const asAbove = { owner: undefined, mode: 0o755 };
  if (name !== '' && !/^(?:root|0)(?::|$)/.test(name))
    return {
      ...asAbove,
      because: 'a name that only the image can resolve',
      doubt: `The service runs as ${quote(name)}, whose number is not known: give the folder to it with chown.`,
    };
  if (image === undefined && service.image !== undefined && service.user === undefined)
    return {
      ...asAbove,
      because: 'the image is not here',
      doubt: 'The engine does not have the image yet: pull it first, to see which user it runs as.',
    };
  return { ...asAbove, because: 'it runs as root' };
}

function knownImageOf(image: string | undefined): readonly [uid: number, gid: number] | undefined {
  const [name, tag] = splitTag(image ?? '');
  const found = knownImages.find(({ names }) =>
    names.some(
      (known) =>
        name === known ||
        name === `library/${known}` ||
        name.endsWith(`.io/${known}`) ||
        name.endsWith(`.io/library/${known}`),
    ),
  );
  return found === undefined ? undefined : (/alpine/.test(tag) && found.alpine) || found.owner;
}

/** `registry:5000/postgres:15@sha256:…` to `registry:5000/postgres` and `15`. */
function splitTag(image: string): [string, string] {
  const [named = ''] = image.split('@');
  const colon = named.lastIndexOf(':');
  return colon > named.lastIndexOf('/') ? [named.slice(0, colon), named.slice(colon + 1)] : [named, ''];
}

/** The numbers of `1000` or `1000:100`; names have none here. */
function parseNumbers(user: string | undefined): { uid: number; gid: number } | undefined {
  const [, uid, gid] = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(user ?? '') ?? [];
  if (uid === undefined || Number(uid) >= 2 ** 32 - 1 || Number(gid ?? 0) >= 2 ** 32 - 1) return undefined;
  // The engine gives a user that the image does not know the group root.
  return { uid: Number(uid), gid: Number(gid ?? 0) };
}
