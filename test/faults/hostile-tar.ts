export interface HostileMember {
  readonly name: string;
  /** 0 for a file, 1 a hard link, 2 a symbolic link, 5 a folder. */
  readonly type: '0' | '1' | '2' | '5';
  readonly link?: string;
  readonly content?: string;
}

/** A tar archive with exactly these names, which no tool would write. */
export function hostileTar(members: readonly HostileMember[]): Buffer {
  return Buffer.concat([...members.flatMap(memberBlocks), Buffer.alloc(1024)]);
}

function memberBlocks({ name, type, link = '', content = '' }: HostileMember): Buffer[] {
  const header = Buffer.alloc(512);
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`;
  header.write(name, 0, 100);
  header.write(octal(0o644, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(octal(content.length, 12), 124);
  header.write(octal(1_600_000_000, 12), 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write(link, 157, 100);
  header.write('ustar\u000000', 257);
  header.write(
    octal(
      header.reduce((sum, byte) => sum + byte, 0),
      7,
    ),
    148,
  );
  const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
  body.write(content);
  return [header, body];
}
