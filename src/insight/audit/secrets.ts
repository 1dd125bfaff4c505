const secretName =
  /(?:^|[_.-])(?:PASS|PASSWD|PASSWORD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|(?:API|AUTH|PRIVATE|ACCESS|SECRET|ENCRYPTION|SIGNING|MASTER|APP|JWT|SECRET[_-]ACCESS)[_-]?KEY|KEY[_-]?BASE)$/i;
const tailName =
  /(?:password|passwd|passphrase|secret|secretkey|apikey|authkey|token|requirepass|masterauth)$/i;
/** Not a secret, though its name ends so. */
const otherName =
  /(?:_FILE|_PATH|_URL|_TTL|_LENGTH|_ALGORITHM|_TYPE|_HEADER|PUBLIC[_-]?KEY)$|^(?:ALLOW|ENABLE|DISABLE|RANDOM|USE|REQUIRE(?!PASS$)|RESET|CHANGE|MYSQL_(?:ALLOW|RANDOM))/i;
/** A hash that is slow to try words against, as an app asks for it in place of the secret itself. */
const slowHash = /^\$(?:argon2|2[abxy]\$|scrypt|y\$)/;
const noSecret = /^(?:|true|false|yes|no|on|off|none|null|0|1|\d{1,3}[smhd]?)$/i;

/** True when a variable, option or label of this name and value holds a secret. Pure. */
export function holdsSecret(name: string, value: string): boolean {
  const isPath = /^(?:(?:\.{0,2}|~)\/\S*|\S+\.(?:pem|key))$/.test(value);
  if (hasPasswordInUrl(value)) return true;
  if (noSecret.test(value.trim()) || isSlowHash(value) || isPath || otherName.test(name)) return false;
  return secretName.test(name) || tailName.test(name);
}

/** A hash that says no more of the secret than what the app needs. Pure. */
export function isSlowHash(value: string): boolean {
  return slowHash.test(value.trim());
}

/** `postgres://user:password@host`. Pure. */
export function hasPasswordInUrl(value: string): boolean {
  const found = /^[a-z][a-z0-9+.-]*:\/\/[^\s:@/]*:([^\s@/]+)@/i.exec(value.trim())?.[1];
  return found !== undefined && !/^[*x.]+$/i.test(found);
}
