const longest = 1000;
/** The rest is ignored: on a long word, the patterns take more than linear time. */
const readAtMost = 8 * longest;

const userOfAddress = /([a-z][a-z0-9+.-]*:\/\/)[^/\s"@]*@/gi;
const bearer = /\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi;
/** Also at the end of a variable's name: `POSTGRES_PASSWORD`, `PGPASSWORD`. */
const assigned =
  /\b([\w-]{0,64}?(?:password|passwd|passphrase|token|secret|authorization|api[-_]?key|access[-_]?key))("?\s*[=:]\s*)(?!bearer|basic)("[^"]*"|\S+)/gi;

/**
 * A message without passwords in addresses, tokens in headers and other likely secrets, and cut to a bounded
 * length.
 */
export function withoutSecrets(message: string): string {
  const clean = message
    .slice(0, readAtMost)
    .replace(userOfAddress, '$1***@')
    .replace(bearer, '$1 ***')
    .replace(assigned, '$1$2***');
  return clean.length > longest ? `${clean.slice(0, longest)}…` : clean;
}
