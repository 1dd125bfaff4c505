import type { TarMember } from '../../lib/tar/tar-member.ts';
import { type ByteString, toText } from '../../model/byte-string.ts';
import type { EntryType } from '../../model/entry.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import type { ArchiveName } from './archive-name.ts';

/** The top level of an archive. */
export interface ArchiveSurvey {
  /** Its own root is among its members, as "tar -C FOLDER ." writes it. */
  readonly hasRoot: boolean;
  readonly members: number;
  /** The entries at the top, by name. */
  readonly top: ReadonlyMap<ByteString, EntryType>;
  /** The entries in the top folder "backup". */
  readonly inBackup: ReadonlyMap<ByteString, EntryType>;
}

/** Reads an archive to its end, so that damage and paths that lead out of it are found before a save. */
export async function surveyArchive(members: AsyncIterable<TarMember>): Promise<ArchiveSurvey> {
  const top = new Map<ByteString, EntryType>();
  const inBackup = new Map<ByteString, EntryType>();
  let hasRoot = false;
  let count = 0;
  for await (const { entry } of members) {
    count++;
    if (entry.path === '') {
      hasRoot = true;
      continue;
    }
    const [first = '', second, ...rest] = entry.path.split('/');
    // Members below a folder make it one, even without an entry of its own.
    top.set(first, second === undefined ? entry.type : 'dir');
    if (first === wrapper && second !== undefined)
      inBackup.set(second, rest.length === 0 ? entry.type : 'dir');
  }
  return { hasRoot, members: count, top, inBackup };
}

/** Where offen mounts the volumes. */
const wrapper = 'backup';

/** A volume in an archive. */
export interface VolumePart {
  readonly name: string;
  /** The folder that is its root. */
  readonly below: ByteString;
}

export interface ArchiveVolumeRequest {
  readonly name: ArchiveName;
  /** The volume that the user named. */
  readonly volume: string | undefined;
}

/** Which volumes are in an archive, and where; pure. `usage` when nothing says so. */
export function volumesIn(survey: ArchiveSurvey, { name, volume }: ArchiveVolumeRequest): VolumePart[] {
  if (survey.members === 0) throw new AppError('integrity', 'There is nothing in it');
  const isWrapped = !survey.hasRoot && survey.top.size === 1 && survey.top.get(wrapper) === 'dir';
  if (!isWrapped) {
    const known = volume ?? name.volume;
    if (known !== undefined) return [{ name: known, below: '' }];
    throw unknownVolume('Neither its name nor what is in it says of which volume it is');
  }
  const folders = [...survey.inBackup].filter(([, type]) => type === 'dir').map(([folder]) => folder);
  const areVolumes = folders.length > 0 && folders.length === survey.inBackup.size;
  if (volume !== undefined) {
    const [only] = folders;
    return [{ name: volume, below: areVolumes && folders.length === 1 ? `${wrapper}/${only}` : wrapper }];
  }
  if (areVolumes) return folders.map((folder) => ({ name: toText(folder), below: `${wrapper}/${folder}` }));
  if (name.volume !== undefined) return [{ name: name.volume, below: wrapper }];
  throw unknownVolume(`In its folder ${quote('/backup')} are files, not only folders of volumes`);
}

function unknownVolume(message: string): AppError {
  return new AppError('usage', message, { hint: 'Say what it is: --volume NAME.' });
}
