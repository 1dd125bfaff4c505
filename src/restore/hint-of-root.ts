/**
 * For what an engine cannot do with a volume's data. A member of the group "docker" may use the engine, and not the data
 * itself, which root does. Root has a state folder of its own: the repository has to be named.
 */
export function hintOfRoot(otherwise: string, uid = process.getuid?.()): string {
  if (uid === 0) return otherwise;
  return `As root, Holdfast reaches the data itself and restores it in place: sudo holdfast --repo LOCATION --password-file KEY restore …. Or without: ${otherwise}`;
}
