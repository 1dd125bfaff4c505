/** The words of a volume's `o` option, as mount(8) reads them. Pure. */
export function mountWords(options: Readonly<Record<string, string>>): string[] {
  return (options['o'] ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

/** What storage a volume of the local driver reaches over a network; undefined for others. Pure. */
export function networkOf(
  driver: string,
  options: Readonly<Record<string, string>>,
): 'NFS' | 'CIFS' | undefined {
  if (driver === 'nfs') return 'NFS';
  if (driver === 'cifs') return 'CIFS';
  if (driver !== 'local') return undefined;
  const type = options['type'] ?? '';
  if (/^nfs4?$/.test(type)) return 'NFS';
  return /^(?:cifs|smb3?)$/.test(type) ? 'CIFS' : undefined;
}
