import { isIP, isIPv4 } from 'node:net';
import { quote } from '../model/quote.ts';
import type { Report } from './check-project.ts';
import type { ComposePath } from './compose-project.ts';
import { entriesOf, fieldOf, type Placed, type PlacedMap } from './placed.ts';

/** The keys of a mapping, by where it stands; `*` is any name. A mapping that is not here may have any. */
const keysAt: Readonly<Record<string, string>> = {
  'networks.*': 'attachable driver driver_opts enable_ipv4 enable_ipv6 external internal ipam labels name',
  'networks.*.ipam': 'config driver options',
  'secrets.*': 'driver driver_opts environment external file labels name template_driver',
  'configs.*': 'content driver environment external file labels name template_driver',
  'services.*.build': `additional_contexts args cache_from cache_to context dockerfile dockerfile_inline entitlements
    extra_hosts isolation labels network no_cache no_cache_filter platforms privileged provenance pull sbom secrets
    shm_size ssh tags target ulimits`,
  'services.*.credential_spec': 'config file registry',
  'services.*.depends_on.*': 'condition required restart',
  'services.*.deploy': `endpoint_mode labels mode placement replicas resources restart_policy rollback_config
    update_config`,
  'services.*.deploy.placement': 'constraints max_replicas_per_node preferences',
  'services.*.deploy.resources': 'limits reservations',
  'services.*.deploy.resources.limits': 'cpus memory pids',
  'services.*.deploy.resources.reservations': 'cpus devices generic_resources memory',
  'services.*.deploy.restart_policy': 'condition delay max_attempts window',
  'services.*.deploy.rollback_config': 'delay failure_action max_failure_ratio monitor order parallelism',
  'services.*.deploy.update_config': 'delay failure_action max_failure_ratio monitor order parallelism',
  'services.*.healthcheck': 'disable interval retries start_interval start_period test timeout',
  'services.*.logging': 'driver options',
  'services.*.networks.*': `aliases driver_opts gw_priority interface_name ipv4_address ipv6_address link_local_ips
    mac_address priority`,
  'services.*.ulimits.*': 'hard soft',
};

const knownKeys = new Map(Object.entries(keysAt).map(([at, keys]) => [at, new Set(keys.split(/\s+/))]));

/** Reads a text or number; the reason why Compose refuses it, or undefined. */
type ReasonOf = (text: string) => string | undefined;

const duration: ReasonOf = (text) =>
  /^[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d|w))+)$/.test(text)
    ? undefined
    : `invalid duration: ${quote(text)}`;

const size: ReasonOf = (text) =>
  /^-?\d+(?:\.\d+)*\s?[kmgtp]?i?b?$/i.test(text) ? undefined : `invalid size: ${quote(text)}`;

const pullPolicy: ReasonOf = (text) =>
  /^(?:always|never|build|if_not_present|missing|refresh|daily|weekly|every_(?:\d+[wdhms])+)$/.test(text)
    ? undefined
    : 'must be one of "always", "never", "if_not_present", "build", "missing"';

const extraHost: ReasonOf = (text) =>
  /[=:]/.test(text) ? undefined : `invalid additional host, missing IP: ${quote(text)}`;

const device: ReasonOf = (text) => `confusing device mapping, please use long syntax: ${quote(text)}`;

/** `#` is any entry of a list. */
const readers: Readonly<Record<string, ReasonOf>> = {
  'services.*.build.shm_size': size,
  'services.*.deploy.resources.limits.memory': size,
  'services.*.deploy.resources.reservations.memory': size,
  'services.*.deploy.restart_policy.delay': duration,
  'services.*.deploy.restart_policy.window': duration,
  'services.*.deploy.rollback_config.delay': duration,
  'services.*.deploy.rollback_config.monitor': duration,
  'services.*.deploy.update_config.delay': duration,
  'services.*.deploy.update_config.monitor': duration,
  // What is in the long syntax here was written in it, or could be read.
  'services.*.devices.#': device,
  'services.*.extra_hosts.#': extraHost,
  'services.*.healthcheck.interval': duration,
  'services.*.healthcheck.start_interval': duration,
  'services.*.healthcheck.start_period': duration,
  'services.*.healthcheck.timeout': duration,
  'services.*.mem_limit': size,
  'services.*.mem_reservation': size,
  'services.*.memswap_limit': size,
  'services.*.ports.#': portReason,
  'services.*.pull_policy': pullPolicy,
  'services.*.shm_size': size,
  'services.*.stop_grace_period': duration,
};

/** Durations need a unit. */
const numbersRefused = new Set<ReasonOf>([duration]);

/** Lists of which each entry is a text. */
const textLists = new Set(['command', 'entrypoint'].map((key) => `services.*.${key}.#`));

/** What Compose refuses of values deeper than a service's fields. */
export function checkValues(model: PlacedMap, report: Report): void {
  for (const section of ['services', 'networks', 'secrets', 'configs'])
    for (const [name, { value }] of entriesOf(fieldOf(model, section)))
      if (value.kind === 'map') checkMap(value, { at: `${section}.*`, path: [section, name] }, report);
}

interface Here {
  /** `services.*.build`. */
  readonly at: string;
  readonly path: ComposePath;
}

function check(value: Placed, here: Here, report: Report): void {
  if (value.kind === 'map') checkMap(value, here, report);
  else if (value.kind === 'list')
    for (const [index, item] of value.items.entries())
      check(item, { at: `${here.at}.#`, path: [...here.path, index] }, report);
  else checkScalar(value.value, here, report);
}

function checkMap(map: PlacedMap, { at, path }: Here, report: Report): void {
  const known = knownKeys.get(at);
  for (const [key, { value }] of map.entries) {
    if (key.startsWith('x-')) continue;
    if (known !== undefined && !known.has(key))
      report(`${path.join('.')} Additional property ${key} is not allowed`, [...path, key]);
    else check(value, { at: `${at}.${isNamed(at) ? '*' : key}`, path: [...path, key] }, report);
  }
  if (at === 'services.*.ulimits.*')
    for (const key of ['soft', 'hard'])
      if (!map.entries.has(key)) report(`${path.join('.')} ${key} is required`, path);
}

/** The keys of these are names. */
function isNamed(at: string): boolean {
  return ['services.*.depends_on', 'services.*.networks', 'services.*.ulimits'].includes(at);
}

function checkScalar(value: string | number | boolean | null, { at, path }: Here, report: Report): void {
  if (textLists.has(at) && typeof value !== 'string') report(`${path.join('.')} must be a string`, path);
  const reasonOf = Object.hasOwn(readers, at) ? readers[at] : undefined;
  if (reasonOf === undefined || (typeof value !== 'string' && typeof value !== 'number')) return;
  const text = String(value);
  // A variable that is not filled in.
  if (text.includes('$')) return;
  const reason =
    typeof value === 'number' && numbersRefused.has(reasonOf) ? 'must be a string' : reasonOf(text);
  if (reason !== undefined) report(`${path.join('.')}: ${reason}`, path);
}

/** `[IP:][HOST:]CONTAINER[/PROTOCOL]`, where both may be ranges. */
function portReason(text: string): string | undefined {
  const [, host = '', container = '', protocol = 'tcp'] = /^(?:(.*):)?([^:/]*)(?:\/(.*))?$/s.exec(text) ?? [];
  if (!/^(?:tcp|udp|sctp)$/i.test(protocol)) return `Invalid proto: ${quote(protocol)}`;
  const inside = rangeOf(container);
  if (inside === undefined) return `Invalid containerPort: ${quote(container)}`;
  const colon = host.lastIndexOf(':');
  const [address, published] = [host.slice(0, Math.max(colon, 0)), host.slice(colon + 1)];
  const bare = address.startsWith('[') && address.endsWith(']') ? address.slice(1, -1) : address;
  if (address !== '' && (bare === address ? !isIPv4(bare) : isIP(bare) === 0))
    return `Invalid ip address: ${quote(address)}`;
  if (published === '') return undefined;
  const outside = rangeOf(published);
  if (outside === undefined) return `Invalid hostPort: ${quote(published)}`;
  return inside === 1 || inside === outside
    ? undefined
    : `Invalid ranges specified for container and host Ports: ${container} and ${published}`;
}

/** How many ports `80` or `80-85` is. */
function rangeOf(text: string): number | undefined {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (first === undefined || Number(last) > 65_535 || Number(last) < Number(first)) return undefined;
  return Number(last) - Number(first) + 1;
}
