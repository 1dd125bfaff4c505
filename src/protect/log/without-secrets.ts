const longest = 1000;

/** A message without what may be a secret in it: passwords in addresses, tokens in headers; and not without end. */
export function withoutSecrets(message: string): string {
  const clean = message
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^/\s"@]*@/gi, '$1***@')
    .replace(
      /\b(password|passwd|passphrase|token|secret|bearer|authorization|api[-_]?key)(["']?\s*[=:]\s*|\s+)("[^"]*"|\S+)/gi,
      hide,
    );
  return clean.length > longest ? `${clean.slice(0, longest)}…` : clean;
}

/** Words that only speak of a secret stay as they are: "the password is empty". */
function hide(whole: string, word: string, between: string): string {
  const isAssigned = /[=:]/.test(between) || /^bearer$/i.test(word);
  return isAssigned ? `${word}${between}***` : whole;
}
