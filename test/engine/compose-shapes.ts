/** A project as its author would have it on disk, and how it is asked for. */
export interface ComposeShape {
  /** By their paths below the project's folder; the first is read unless `arguments` says otherwise. */
  readonly files: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** `-f`. */
  readonly named?: readonly string[];
  readonly profiles?: readonly string[];
  readonly projectName?: string;
  readonly projectDirectory?: string;
  readonly envFiles?: readonly string[];
  /** The folder below the project's in which the command runs. */
  readonly from?: string;
}

/** The text as it is, but for `\$`, which is `$`. */
const yaml = (text: TemplateStringsArray): string => String.raw(text).replaceAll('\\$', '$');

/** Projects of different shapes, each with what it is about. */
export const goodShapes: Readonly<Record<string, ComposeShape>> = {
  'one service': { files: { 'compose.yaml': yaml`services: { web: { image: nginx } }` } },
  'commands that end where a shell would begin another': {
    files: {
      'compose.yaml': yaml`
services:
  a: { image: a, command: 'sh -c; ls "' }
  b: { image: b, command: 'one "two; three" four\; five& six' }
  c: { image: c, command: one two 2>three, entrypoint: one|two }
  d: { image: d, command: one2> three, entrypoint: '; one' }
`,
    },
  },
  'lines that end as those of old Macintoshes and mainframes': {
    files: {
      'compose.yaml': 'services:\r  web:\r    image: nginx\u0085    # a comment\r    user: "1:2"\r',
    },
  },
  'volumes in both syntaxes': {
    files: {
      'compose.yaml': yaml`
services:
  db:
    image: postgres
    volumes:
      - data:/var/lib/postgresql/data
      - ./conf/:/etc/conf:ro
      - ~/keys:/keys:Z,ro
      - /anonymous
      - ../up:/up/../up2:rshared
      - { type: volume, source: logs, target: /logs, read_only: true, volume: { nocopy: true } }
      - { type: volume, source: logs, target: /sub/, volume: { subpath: a/b } }
      - { type: bind, source: ./x, target: /x, bind: { create_host_path: false, propagation: rslave, selinux: z } }
      - { type: tmpfs, target: /cache, tmpfs: { size: 64m, mode: 0o1777 } }
      - { type: tmpfs, target: /plain }
volumes:
  data:
  logs: { driver: local, driver_opts: { type: tmpfs, device: tmpfs, o: size=10m }, labels: [a=b, c] }
`,
    },
  },
  'volumes with names, options and owners': {
    files: {
      'compose.yaml': yaml`
name: owners
services:
  app: { image: app, volumes: ['a:/a', 'b:/b', 'c:/c', 'd:/d', 'e:/e'] }
volumes:
  a: { name: real-a }
  b: { external: true }
  c: { external: true, name: other-c }
  d: { driver: local, driver_opts: { type: none, o: bind, device: ./data } }
  e: { driver: local, driver_opts: { type: nfs, o: 'addr=10.0.0.1,rw', device: ':/export', count: 3 } }
`,
    },
  },
  'an override beside the file': {
    files: {
      'compose.yaml': yaml`
services:
  web:
    image: nginx
    command: [a, b]
    environment: { A: one, B: two }
    labels: [x=1, y=2]
    ports: ['80:80']
    volumes: ['./a:/data', 'v:/v']
    cap_add: [NET_ADMIN]
    security_opt: [no-new-privileges]
    dns: 1.1.1.1
volumes: { v: }
`,
      'compose.override.yaml': yaml`
services:
  web:
    command: c d "e f"
    environment: [B=three, C=four]
    labels: { y: '3', z: 4 }
    volumes: ['./b:/data', './c:/c:ro']
    cap_add: [NET_ADMIN, SYS_TIME]
    security_opt: [seccomp=unconfined]
    dns: [8.8.8.8]
  more: { image: busybox }
`,
    },
  },
  'the old default names': {
    files: {
      'docker-compose.yml': yaml`
version: '3.8'
services: { web: { image: 'nginx:1' } }
`,
      'docker-compose.override.yml': yaml`services: { web: { image: 'nginx:2', restart: always } }`,
    },
  },
  'three named files': {
    files: {
      'base.yml': yaml`services: { a: { image: a, healthcheck: { test: [CMD, x], interval: 5s } } }`,
      'sub/two.yml': yaml`services: { a: { volumes: ['./here:/h'], healthcheck: { test: curl -f http://x || exit 1 } } }`,
      'three.yml': yaml`services: { a: { healthcheck: { disable: true }, user: '1000:1000' }, b: { image: b, user: '5' } }`,
    },
    named: ['base.yml', 'sub/two.yml', 'three.yml'],
  },
  'variables with defaults, errors and others': {
    files: {
      'compose.yaml': yaml`
services:
  web:
    image: '\${IMAGE:-nginx}:\${TAG-latest}'
    environment:
      SET: $SET
      EMPTY_COLON: '\${EMPTY:-default}'
      EMPTY: '\${EMPTY-default}'
      NESTED: '\${NONE:-\${ALSO_NONE:-\${SET}-deep}}'
      OTHER: '\${SET:+yes}\${EMPTY:+no}\${EMPTY+set}\${NONE+none}'
      REQUIRED: '\${SET:?must be set} \${EMPTY?may be empty}'
      DOLLAR: 'a$$b $$\${SET} $5 $'
      TWO: '\${SET}-\${SET}'
      BRACES: '\${NONE:-{"a": 1}}'
      lower: '\${lower_case}'
    labels: { key: '\${SET}' }
`,
    },
    env: { SET: 'value', EMPTY: '', lower_case: 'low' },
  },
  'a file of variables beside it': {
    files: {
      '.env': yaml`
# a comment
export A=plain # and why
B = 'single $A'
C="double \${A} \n \"quoted\" \\$A"
D=$A-$B
E:colon
F=
G="two
lines"
TAKEN=file
H=a#b
`,
      'compose.yaml': yaml`
services:
  web:
    image: nginx
    environment: { A: $A, B: $B, C: $C, D: $D, E: $E, F: '<$F>', G: $G, H: $H, TAKEN: $TAKEN, COMPOSE: $COMPOSE_PROJECT_NAME }
`,
    },
    env: { TAKEN: 'shell' },
  },
  'named files of variables': {
    files: {
      'compose.yaml': yaml`services: { web: { image: 'nginx:$TAG', environment: { X: $X } } }`,
      '.env': 'TAG=never\n',
      'env/one': 'TAG=1\nX=one\n',
      'env/two': 'TAG=2-${TAG}\n',
    },
    envFiles: ['env/one', 'env/two'],
  },
  'files and a name chosen by variables': {
    files: {
      '.env': 'COMPOSE_FILE=one.yml:two.yml\nCOMPOSE_PROJECT_NAME=by_env\nCOMPOSE_PROFILES=a, b\n',
      'one.yml': yaml`services: { web: { image: nginx, profiles: [a] }, other: { image: x, profiles: [c] } }`,
      'two.yml': yaml`services: { web: { restart: always }, b: { image: y, profiles: [b] } }`,
    },
  },
  'env_file of services': {
    files: {
      'compose.yaml': yaml`
services:
  one: { image: a, env_file: one.env, environment: { OWN: '1', B: own } }
  two:
    image: b
    env_file:
      - one.env
      - { path: ./two.env, required: true }
      - { path: missing.env, required: false }
    environment: [FROM_SHELL, NOT_SET, OWN=2]
`,
      'one.env': 'A=1\nB="two $SHELL_VALUE"\nFROM_SHELL\n',
      'two.env': 'A=3\nC=${A}x\n',
    },
    env: { FROM_SHELL: 'shell', SHELL_VALUE: 'v' },
  },
  'anchors and merge keys': {
    files: {
      'compose.yaml': yaml`
x-common: &common
  restart: unless-stopped
  environment: &env { A: '1', B: '2' }
  logging: { driver: json-file, options: { max-size: 10m } }
x-more: &more { restart: always, init: true }
services:
  one: { <<: *common, image: one }
  two:
    <<: [*more, *common]
    image: two
    environment: { <<: *env, B: '3' }
    command: &cmd [run, it]
  three: { image: three, command: *cmd, environment: *env }
`,
    },
  },
  'reset and override': {
    files: {
      'compose.yaml': yaml`
services:
  web:
    image: nginx
    ports: ['80:80']
    volumes: ['a:/a', 'b:/b']
    environment: { A: '1', B: '2' }
    command: x
    tmpfs: [/run]
  gone: { image: gone }
volumes: { a: , b: }
`,
      'compose.override.yaml': yaml`
services:
  web:
    ports: !reset []
    volumes: !override ['c:/c']
    environment: { A: !reset null, C: '3' }
    command: !reset null
    tmpfs: !override /tmp
  gone: !reset null
volumes: { c: }
`,
    },
  },
  'extends in the same file': {
    files: {
      'compose.yaml': yaml`
services:
  base:
    image: base
    environment: { A: '1', B: '2' }
    volumes: ['a:/a', './x:/x']
    labels: [from=base]
    depends_on: [dep]
    networks: [front]
    build: { context: ./ctx, args: [P=1] }
    env_file: base.env
    dns: 1.1.1.1
  mid:
    extends: base
    environment: [B=mid, C=mid]
    volumes: ['b:/a']
  top:
    extends: { service: mid }
    image: top
    build: { args: { Q: '2' } }
    labels: { from: top }
    depends_on: { dep: { condition: service_healthy } }
    networks: { back: { aliases: [t] } }
  dep: { image: dep, healthcheck: { test: 'true' } }
networks: { front: , back: }
volumes: { a: , b: }
`,
      'base.env': 'FROM_FILE=1\n',
    },
  },
  'extends in other files': {
    files: {
      'compose.yaml': yaml`
services:
  web:
    extends: { file: shared/web.yml, service: web }
    environment: { B: own }
  plain: { extends: { file: ./shared/web.yml, service: second } }
volumes: { data: }
`,
      'shared/web.yml': yaml`
services:
  web:
    extends: { file: deep/base.yml, service: base }
    volumes: ['./html:/html', 'data:/data']
    environment: { A: '1', B: '2' }
    build: .
  second: { extends: web, image: second }
`,
      'shared/deep/base.yml': yaml`
services:
  base: { image: base, volumes: ['./deep:/deep'], env_file: [deep.env], secrets: [] }
`,
      'shared/deep/deep.env': 'DEEP=1\n',
    },
  },
  'include in all forms': {
    files: {
      'compose.yaml': yaml`
include:
  - inner/compose.yaml
  - path: [second/compose.yaml, second/override.yaml]
    project_directory: ./elsewhere
    env_file: [second/vars.env]
  - { path: third.yaml }
services:
  web: { image: nginx, depends_on: [inner, second] }
`,
      'inner/compose.yaml': yaml`
include: [deeper/compose.yaml]
services: { inner: { image: 'inner:$TAG', volumes: ['./data:/data', 'v:/v'] } }
volumes: { v: }
`,
      'inner/.env': 'TAG=inner\nTAKEN=inner\n',
      'inner/deeper/compose.yaml': yaml`services: { deeper: { image: 'deeper:$TAKEN', build: . } }`,
      'second/compose.yaml': yaml`services: { second: { image: 'second:$TAG', volumes: ['./s:/s'] } }`,
      'second/override.yaml': yaml`services: { second: { environment: [NAME=$NAME] } }`,
      'second/vars.env': 'TAG=second\nNAME=n\n',
      'third.yaml': yaml`
services: { third: { image: third, configs: [conf] } }
configs: { conf: { file: ./conf.txt } }
`,
    },
    env: { TAKEN: 'shell' },
  },
  profiles: {
    files: {
      'compose.yaml': yaml`
services:
  always: { image: a }
  debug: { image: b, profiles: [debug, all] }
  never: { image: c, profiles: [never] }
  optional: { image: d, depends_on: { never: { condition: service_started, required: false } } }
`,
    },
    profiles: ['debug'],
  },
  'all profiles': {
    files: {
      'compose.yaml': yaml`services: { a: { image: a, profiles: [x] }, b: { image: b, profiles: [y] } }`,
    },
    profiles: ['*'],
  },
  'configs and secrets': {
    files: {
      'compose.yaml': yaml`
services:
  web:
    image: nginx
    configs:
      - short
      - { source: long, target: /etc/long.conf, uid: '10', gid: '11', mode: 0440 }
      - { source: text }
    secrets:
      - password
      - { source: token, target: renamed, mode: 0400 }
      - { source: other, target: /abs/other }
      - outside
configs:
  short: { file: ./short.conf }
  long: { file: ~/long.conf }
  text: { content: 'a=\${VALUE}' }
secrets:
  password: { file: ./password.txt }
  token: { environment: TOKEN }
  other: { file: /etc/other }
  outside: { external: true, name: outside-name }
`,
    },
    env: { VALUE: 'filled', TOKEN: 't' },
  },
  'security and namespaces': {
    files: {
      'compose.yaml': yaml`
services:
  a:
    image: a
    privileged: true
    read_only: 'true'
    user: root
    cap_drop: [ALL]
    cap_add: [CHOWN, CHOWN]
    security_opt: ['apparmor:unconfined', seccomp=./s.json]
    devices: ['/dev/fuse', '/dev/a:/dev/b', '/dev/c:/dev/c:r', { source: /dev/d, target: /dev/e, permissions: rw }]
    pid: host
    ipc: 'service:b'
    userns_mode: host
    network_mode: 'service:b'
  b: { image: b, volumes_from: ['c:ro', 'container:old', d], links: ['c:alias'] }
  c: { image: c }
  d: { image: d, network_mode: host }
`,
    },
  },
  'dependencies in both syntaxes': {
    files: {
      'compose.yaml': yaml`
services:
  a: { image: a, depends_on: [b, c] }
  b: { image: b, depends_on: { c: { condition: service_completed_successfully, restart: true }, d: { condition: service_healthy } } }
  c: { image: c }
  d: { image: d }
`,
      'compose.override.yaml': yaml`
services:
  a: { depends_on: { b: { condition: service_healthy }, d: { condition: service_started } } }
  b: { depends_on: [a2] }
  a2: { image: x }
`,
    },
  },
  'scalars of YAML 1.1': {
    files: {
      'compose.yaml': yaml`
services:
  web:
    image: nginx
    environment:
      OCTAL: 0777
      NEW_OCTAL: 0o17
      HEX: 0x1F
      FLOAT: 1.10
      ZERO: 1.0
      SMALL: 0.00001
      BIG: 1e21
      MILLION: 1.0e6
      LESS: 99999.5
      LONG: 1234567.25
      WHOLE: 12345678
      LARGE: 9007199254740993
      NONE: -0.0
      YES: yes
      FLAG: True
      TEXT: 'true'
      SEXA: 22:22
      UNDERSCORE: 1_000
      MINUS: -5
      EIGHT: 08
      FOLDED: >-
        one
        two
      BLOCK: |
        one
        two
      QUOTED: "tab\tend"
    labels: { n: 5, f: 2.50, t: true, empty: }
`,
    },
  },
  'commands as texts and lists': {
    files: {
      'compose.yaml': yaml`
services:
  a: { image: a, command: 'sh -c "echo \$\$HOME; ls"', entrypoint: '/entry --flag' }
  b: { image: b, command: [], entrypoint: [] }
  c: { image: c, command: , entrypoint: '' }
  d: { image: d, command: ['one two', three], healthcheck: { test: [CMD-SHELL, x] } }
  e: { image: e, healthcheck: { test: [NONE] } }
`,
    },
  },
  builds: {
    files: {
      'compose.yaml': yaml`
services:
  a: { build: ./a }
  b: { build: { context: b, dockerfile: Other, target: prod, args: { X: '1', FROM_SHELL: } }, image: b }
  c: { build: { dockerfile_inline: "FROM scratch\n" } }
  d: { build: 'https://github.com/docker/awesome-compose.git#main' }
  e: { build: { context: ., additional_contexts: [x=./x, y=docker-image://alpine], secrets: [s] } }
secrets: { s: { file: s.txt } }
`,
    },
    env: { FROM_SHELL: 'given' },
  },
  'extensions everywhere': {
    files: {
      'compose.yaml': yaml`
x-top: { a: [1, two, true, null] }
x-holdfast: { policy: daily }
services:
  web: { image: nginx, x-own: { b: 2 }, x-text: t }
volumes: { v: { x-volume: 3 } }
`,
      'compose.override.yaml': yaml`
x-top: { c: 1 }
services: { web: { x-own: { d: 4 }, volumes: ['v:/v'] } }
`,
    },
  },
  'tmpfs in all forms': {
    files: {
      'compose.yaml': yaml`
services:
  a: { image: a, tmpfs: /run }
  b: { image: b, tmpfs: ['/run', '/tmp:size=64m,mode=1777,noexec', '/x:ro'] }
`,
      'compose.override.yaml': yaml`services: { a: { tmpfs: [/tmp] }, b: { tmpfs: ['/run', '/y'] } }`,
    },
  },
  networks: {
    files: {
      'compose.yaml': yaml`
services:
  a: { image: a, networks: [x, y] }
  b: { image: b, networks: { x: { aliases: [bb], ipv4_address: 10.0.0.5 }, default: } }
  c: { image: c }
networks: { x: { driver: bridge, labels: [l=1] }, y: { external: true, name: out }, default: { name: mine } }
`,
    },
  },
  'a project directory elsewhere': {
    files: {
      'config/compose.yaml': yaml`services: { a: { image: a, volumes: ['./x:/x'], env_file: a.env } }`,
      'base/a.env': 'A=1\n',
      'base/.env': 'UNUSED=1\n',
    },
    named: ['config/compose.yaml'],
    projectDirectory: 'base',
  },
  'a command in a folder below': {
    files: { 'compose.yaml': yaml`services: { a: { image: a, volumes: ['./x:/x'] } }`, 'deep/down/file': '' },
    from: 'deep/down',
  },
  'a name of its own and one given': {
    files: {
      'compose.yaml': yaml`
name: 'from-$WHERE'
services: { a: { image: a, labels: { n: '\${COMPOSE_PROJECT_NAME}' }, volumes: ['v:/v'] } }
volumes: { v: }
`,
    },
    env: { WHERE: 'file' },
  },
  'a name given by the command': {
    files: {
      'compose.yaml': yaml`
name: written
services: { a: { image: '$COMPOSE_PROJECT_NAME', volumes: ['v:/v'] } }
volumes: { v: }
`,
    },
    projectName: 'given-2',
  },
  'several documents in one file': {
    files: {
      'compose.yaml': yaml`
services: { a: { image: a, environment: { X: '1' } } }
---
services: { a: { environment: { X: '2' } }, b: { image: b } }
`,
    },
  },
  'logging and limits': {
    files: {
      'compose.yaml': yaml`
services:
  a:
    image: a
    logging: { driver: json-file, options: { max-size: 1m } }
    ulimits: { nofile: { soft: 1, hard: 2 }, nproc: 5 }
    sysctls: [net.core.somaxconn=1024]
    deploy: { replicas: 2, resources: { limits: { memory: 50M, cpus: '0.5' } } }
    shm_size: 64m
    stop_grace_period: 1m30s
`,
      'compose.override.yaml': yaml`
services: { a: { logging: { driver: syslog }, ulimits: { nproc: 7 }, sysctls: { net.core.somaxconn: 2048 } } }
`,
    },
  },
  'variables of an env_file that no shell could name': {
    files: {
      'compose.yaml': 'services: { a: { image: a, env_file: f.env } }\n',
      'f.env': '1A=x\n9: y\n2B\nA.b-c=z\n',
    },
  },
  'a name that is made a valid one': {
    files: { 'compose.yaml': 'name: My App\ninclude:\nservices: { a: { image: a } }\n' },
  },
  'all kinds of ports, durations and sizes': {
    files: {
      'compose.yaml': yaml`
services:
  a:
    image: a
    ports: [80, '127.0.0.1::81', '[::1]:82:82/udp', '8000-8010:83', '8020-8021:84-85', ':86', '3000-3005']
    healthcheck: { test: a, interval: 1.5s, timeout: '0', start_interval: 500ms, retries: 3, x-a: 1 }
    mem_limit: 1.5G
    mem_reservation: 5 MB
    memswap_limit: -1
    shm_size: 1073741824
    extra_hosts: ['a:::1', 'host=host-gateway']
    devices: ['/dev/b:/c:rw', 'vendor.com/class=x']
    deploy: { restart_policy: { delay: 5s, window: 2m }, update_config: { order: start-first } }
    networks: { default: { aliases: [b] } }
    ulimits: { memlock: -1, nofile: { soft: 1, hard: 2 } }
`,
    },
  },
  'names beyond ASCII and odd keys': {
    files: {
      'compose.yaml': yaml`
services:
  web-1.x_y: { image: 'nginx', environment: { 'ÜMLAUT': 'ä→日本' }, labels: { 'a.b/c': 'd', __proto__: 'p', constructor: 'c' } }
`,
    },
  },
  JSON: {
    files: {
      'compose.yaml':
        '{"services": {"a": {"image": "a", "environment": {"X": "\\u00e9", "N": null}, "ports": ["80:80"]}}}',
    },
  },
};

/** Projects that Compose refuses, each with what is said of it and where. */
export const badShapes: Readonly<
  Record<string, ComposeShape & { readonly says: RegExp; readonly at: string }>
> = {
  'a section of an override that is nothing': {
    files: {
      'compose.yaml': 'services: { a: { image: a } }\n',
      'compose.override.yaml': 'x-a: 1\nservices:\n',
    },
    says: /services must be a mapping/,
    at: 'compose.override.yaml:2:1',
  },
  'an unknown section of an included file': {
    files: {
      'compose.yaml': 'include: [inner.yaml]\nservices: { a: { image: a } }\n',
      'inner.yaml': 'services: { b: { image: b } }\nserivces: {}\n',
    },
    says: /Additional property serivces is not allowed/,
    at: 'inner.yaml:2:1',
  },
  'an undefined volume': {
    files: {
      'compose.yaml':
        'services:\n  a:\n    image: a\n    volumes:\n      - ok:/ok\n      - data:/data\nvolumes: { ok: }\n',
    },
    says: /refers to undefined volume data/,
    at: 'compose.yaml:6:9',
  },
  'an undefined secret': {
    files: { 'compose.yaml': 'services:\n  a:\n    image: a\n    secrets: [nope]\n' },
    says: /refers to undefined secret nope/,
    at: 'compose.yaml:4:15',
  },
  'an undefined config': {
    files: { 'compose.yaml': 'services:\n  a:\n    image: a\n    configs:\n    - nope\n' },
    says: /refers to undefined config nope/,
    at: 'compose.yaml:5:7',
  },
  'an undefined dependency': {
    files: { 'compose.yaml': 'services:\n  a:\n    image: a\n    depends_on:\n      - b\n' },
    says: /depends on undefined service "b"/,
    at: 'compose.yaml:5:9',
  },
  'an undefined network': {
    files: { 'compose.yaml': 'services:\n  a:\n    image: a\n    networks: { n: }\n' },
    says: /refers to undefined network n/,
    at: 'compose.yaml:4:17',
  },
  'no image': {
    files: { 'compose.yaml': 'services:\n  a:\n    restart: always\n' },
    says: /neither an image nor a build context/,
    at: 'compose.yaml:2:3',
  },
  'a required variable': {
    files: { 'compose.yaml': 'services:\n  a:\n    image: ${IMAGE:?say which}\n' },
    says: /required variable IMAGE is missing a value: say which/,
    at: 'compose.yaml:3:12',
  },
  'a broken variable': {
    files: { 'compose.yaml': 'services:\n  a:\n    image: "${no good}"\n' },
    says: /invalid interpolation format/,
    at: 'compose.yaml:3:12',
  },
  'an unknown key of a service': {
    files: { 'compose.yaml': 'services:\n  a:\n    image: a\n    volume: [x]\n' },
    says: /additional properties 'volume' not allowed/i,
    at: 'compose.yaml:4:5',
  },
  'an unknown key at the top': {
    files: { 'compose.yaml': 'services: { a: { image: a } }\nservice: {}\n' },
    says: /Additional property service is not allowed/,
    at: 'compose.yaml:2:1',
  },
  'an external volume with options': {
    files: {
      'compose.yaml':
        'services: { a: { image: a, volumes: ["v:/v"] } }\nvolumes:\n  v: { external: true, driver: local }\n',
    },
    says: /conflicting parameters "external" and "driver" specified/,
    at: 'compose.yaml:3:3',
  },
  'a mount without a target': {
    files: {
      'compose.yaml':
        'services:\n  a:\n    image: a\n    volumes:\n      - { type: volume, source: x }\nvolumes: { x: }\n',
    },
    says: /target|Target/,
    at: 'compose.yaml:5:9',
  },
  'a mount with too many colons': {
    files: { 'compose.yaml': 'services:\n  a:\n    image: a\n    volumes: [ "aa:/b:ro:x" ]\n' },
    says: /too many colons/,
    at: 'compose.yaml:4:16',
  },
  'extends of a missing service': {
    files: { 'compose.yaml': 'services:\n  a:\n    image: a\n    extends: { service: b }\n' },
    says: /service "b" not found/,
    at: 'compose.yaml:4:25',
  },
  'extends in a circle': {
    files: { 'compose.yaml': 'services:\n  a: { image: a, extends: b }\n  b: { image: b, extends: a }\n' },
    says: /circular reference/i,
    at: 'compose.yaml:2:27',
  },
  'include in a circle': {
    files: {
      'compose.yaml': 'include: [b.yaml]\n',
      'b.yaml': 'include:\n  - compose.yaml\nservices: { b: { image: b } }\n',
    },
    says: /include cycle detected/,
    at: 'b.yaml:2:5',
  },
  'a missing include': {
    files: { 'compose.yaml': 'include:\n  - gone.yaml\nservices: { a: { image: a } }\n' },
    says: /gone\.yaml/,
    at: 'compose.yaml:2:5',
  },
  'an include that conflicts': {
    files: {
      'compose.yaml': 'include: [b.yaml]\nservices:\n  a: { image: a }\n',
      'b.yaml': 'services: { a: { image: b } }\n',
    },
    says: /services\.a conflicts with imported resource/,
    at: 'compose.yaml:3:3',
  },
  'a missing env_file': {
    files: { 'compose.yaml': 'services:\n  a:\n    image: a\n    env_file: gone.env\n' },
    says: /env file .*gone\.env not found/,
    at: 'compose.yaml:4:15',
  },
  'a secret of nothing': {
    files: { 'compose.yaml': 'services: { a: { image: a, secrets: [s] } }\nsecrets:\n  s: {}\n' },
    says: /secrets\.s: one of file\|environment must be set/,
    at: 'compose.yaml:3:3',
  },
  'dependencies in a circle': {
    files: {
      'compose.yaml': 'services:\n  a: { image: a, depends_on: [b] }\n  b: { image: b, depends_on: [a] }\n',
    },
    says: /dependency cycle detected/,
    at: 'compose.yaml:2:18',
  },
  'a network mode and networks': {
    files: {
      'compose.yaml':
        'services:\n  a:\n    image: a\n    network_mode: host\n    networks: [n]\nnetworks: { n: }\n',
    },
    says: /mutually exclusive `network_mode` and `networks`/,
    at: 'compose.yaml:4:5',
  },
  'a flag that is none': {
    files: { 'compose.yaml': 'services:\n  a:\n    image: a\n    privileged: maybe\n' },
    says: /privileged|boolean/,
    at: 'compose.yaml:4:5',
  },
  'a list for a mapping': {
    files: { 'compose.yaml': 'services:\n  a: [image]\n' },
    says: /services\.a must be a mapping/,
    at: 'compose.yaml:2:3',
  },
  'an entry that is there twice': {
    files: { 'compose.yaml': 'services:\n  a:\n    image: a\n    security_opt:\n      - b:c\n      - b:c\n' },
    says: /security_opt array items\[0,1\] must be unique/,
    at: 'compose.yaml:6:9',
  },
  'an environment of nothing': {
    files: { 'compose.yaml': 'services:\n  a:\n    image: a\n    environment:\n' },
    says: /services\.a\.environment must be a mapping/,
    at: 'compose.yaml:4:5',
  },
  'a number for a text': {
    files: { 'compose.yaml': 'services:\n  a: { image: a, user: 1000 }\n' },
    says: /services\.a\.user must be a string/,
    at: 'compose.yaml:2:18',
  },
  'an unknown key below a field': {
    files: { 'compose.yaml': 'services:\n  a: { image: a, healthcheck: { tests: [CMD, a] } }\n' },
    says: /healthcheck Additional property tests is not allowed/,
    at: 'compose.yaml:2:33',
  },
  'a duration without a unit': {
    files: { 'compose.yaml': 'services:\n  a: { image: a, stop_grace_period: "10" }\n' },
    says: /stop_grace_period: invalid duration: "10"/,
    at: 'compose.yaml:2:18',
  },
  'a size that is none': {
    files: { 'compose.yaml': 'services:\n  a: { image: a, mem_limit: 5zz }\n' },
    says: /mem_limit: invalid size: "5zz"/,
    at: 'compose.yaml:2:18',
  },
  'a port that is none': {
    files: { 'compose.yaml': 'services:\n  a: { image: a, ports: ["80:80", "localhost:80:80"] }\n' },
    says: /Invalid ip address: "localhost"/,
    at: 'compose.yaml:2:35',
  },
  'ranges of ports that differ': {
    files: { 'compose.yaml': 'services:\n  a: { image: a, ports: ["8000-8001:80-85"] }\n' },
    says: /Invalid ranges specified for container and host Ports/,
    at: 'compose.yaml:2:26',
  },
  'a flag in a command': {
    files: { 'compose.yaml': 'services:\n  a: { image: a, command: [a, true] }\n' },
    says: /services\.a\.command\.1 must be a string/,
    at: 'compose.yaml:2:31',
  },
  'a section without content': {
    files: { 'compose.yaml': 'services: { a: { image: a } }\nvolumes:\n' },
    says: /volumes must be a mapping/,
    at: 'compose.yaml:2:1',
  },
  'a file without content': {
    files: { 'compose.yaml': '# nothing\n' },
    says: /empty compose file/,
    at: 'compose.yaml:1:1',
  },
};
