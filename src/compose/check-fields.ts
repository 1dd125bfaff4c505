import { quote } from '../model/quote.ts';
import type { Report } from './check-project.ts';
import { checkValues } from './check-values.ts';
import { entriesOf, fieldOf, isPlacedText, type Placed, type PlacedMap, plainOf } from './placed.ts';

const sections = ['services', 'volumes', 'networks', 'configs', 'secrets'];

/** What Compose's schema refuses at the top of each document, whatever it is merged with later. */
export function checkTop(model: PlacedMap, report: Report): void {
  for (const [key] of model.entries)
    if (!key.startsWith('x-') && !topKeys.includes(key))
      report(`Additional property ${key} is not allowed`, [key]);
  for (const section of sections) {
    const value = fieldOf(model, section);
    if (value !== undefined && value.kind !== 'map') report(`${section} must be a mapping`, [section]);
  }
  const written = fieldOf(model, 'name');
  // Compose makes a valid name of any text.
  if (written !== undefined && !isPlacedText(written)) report('name must be a string', ['name']);
}

/** What it refuses of a merged model in the long syntax: unknown keys, and values of another kind. */
export function checkFields(model: PlacedMap, report: Report): void {
  for (const section of sections) {
    for (const [name] of entriesOf(fieldOf(model, section)))
      if (!/^[a-zA-Z0-9._-]+$/.test(name))
        report(`${section}: the name ${quote(name)} is not allowed`, [section, name]);
  }
  for (const [name, { value }] of entriesOf(fieldOf(model, 'services'))) {
    if (value.kind !== 'map') report(`services.${name} must be a mapping`, ['services', name]);
    else for (const [key, entry] of value.entries) checkField(name, key, { value: entry.value, report });
  }
  if (model.entries.size === 0) report('empty compose file', []);
  checkValues(model, report);
}

const topKeys = [
  'version',
  'name',
  'services',
  'networks',
  'volumes',
  'secrets',
  'configs',
  'include',
  'models',
];

type Kind = 'text' | 'number' | 'flag' | 'list' | 'set' | 'map' | 'null';

/** The fields of a service by the kinds that their values may be of; a set is a list without repetition. */
const fieldsByKinds: readonly (readonly [readonly Kind[], string])[] = [
  [
    ['text'],
    `cgroup cgroup_parent container_name cpuset domainname hostname image ipc isolation mac_address network_mode
    platform pull_policy pull_refresh_after restart runtime stop_grace_period stop_signal user userns_mode uts
    working_dir`,
  ],
  [['text', 'null'], 'pid'],
  [
    ['text', 'number'],
    `cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus mem_limit
    mem_reservation mem_swappiness memswap_limit oom_score_adj pids_limit scale shm_size`,
  ],
  [['text', 'flag'], 'attach init oom_kill_disable privileged read_only stdin_open tty use_api_socket'],
  [['text', 'list', 'null'], 'command entrypoint'],
  [['text', 'list'], 'gpus'],
  [['list'], 'configs devices env_file label_file post_start pre_stop secrets'],
  [
    ['set'],
    `cap_add cap_drop device_cgroup_rules dns dns_opt dns_search expose external_links group_add links ports
    profiles security_opt tmpfs volumes volumes_from`,
  ],
  [
    ['map'],
    `annotations blkio_config build credential_spec depends_on environment extends healthcheck labels logging
    networks storage_opt sysctls ulimits`,
  ],
  [['map', 'list'], 'extra_hosts models'],
  [['map', 'null'], 'deploy develop provider'],
];

const kindsOf = new Map(
  fieldsByKinds.flatMap(([kinds, names]) => names.split(/\s+/).map((name) => [name, kinds] as const)),
);

function checkField(
  service: string,
  key: string,
  { value, report }: { readonly value: Placed; readonly report: Report },
): void {
  if (key.startsWith('x-')) return;
  const kinds = kindsOf.get(key);
  const path = ['services', service, key];
  if (kinds === undefined) {
    report(`services.${service} additional properties '${key}' not allowed`, path);
    return;
  }
  if (!kinds.some((kind) => isOf(kind, value))) {
    const wanted = kinds.filter((kind) => kind !== 'null').map((kind) => names[kind]);
    report(`${path.join('.')} must be ${wanted.join(' or ')}`, path);
  } else if (kinds.includes('set') && value.kind === 'list') {
    const first = new Map<string, number>();
    for (const [index, item] of value.items.entries()) {
      const text = JSON.stringify(plainOf(item));
      const same = first.get(text);
      if (same === undefined) first.set(text, index);
      else report(`${path.join('.')} array items[${same},${index}] must be unique`, [...path, index]);
    }
  }
}

const names: Readonly<Record<Kind, string>> = {
  text: 'a string',
  number: 'a number',
  flag: 'a boolean',
  list: 'a list',
  set: 'a list',
  map: 'a mapping',
  null: 'null',
};

function isOf(kind: Kind, value: Placed): boolean {
  if (value.kind !== 'scalar') return value.kind === (kind === 'set' ? 'list' : kind);
  const type = value.value === null ? 'null' : typeof value.value;
  return { string: 'text', number: 'number', boolean: 'flag', null: 'null' }[type as string] === kind;
}
