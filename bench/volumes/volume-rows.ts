/** Holdfast's aim in comparison with dockerd. */
export type Aim =
  | { readonly kind: 'times faster'; readonly times: number }
  | { readonly kind: 'at most more'; readonly ms: number };

export interface VolumeRow {
  readonly title: string;
  readonly aim: Aim;
}

const faster: Aim = { kind: 'times faster', times: 1 };

export interface VolumeCounts {
  /** Number of volumes that are created, listed, inspected and removed. */
  readonly volumes: number;
  /** Number of volumes whose usage is measured. */
  readonly fullVolumes: number;
  readonly filesInEach: number;
}

/** Each may take a millisecond more than without the API in front. */
export const pings = 1000;

export function countsAt(scale: number): VolumeCounts {
  const at = (whole: number): number => Math.max(1, Math.round(whole * scale));
  return { volumes: at(10_000), fullVolumes: at(200), filesInEach: 500 };
}

export function planRows({ volumes, fullVolumes, filesInEach }: VolumeCounts) {
  const many = `${volumes.toLocaleString('en')} volumes`;
  const full = `${fullVolumes} volumes of ${filesInEach} files`;
  const usage: Aim = { kind: 'times faster', times: 10 };
  return {
    create: { title: `create ${many}`, aim: faster },
    list: { title: `list ${many}`, aim: faster },
    inspect: { title: `inspect ${many}`, aim: faster },
    remove: { title: `remove ${many}`, aim: faster },
    ping: {
      title: `${pings.toLocaleString('en')} pings of dockerd, through the API`,
      aim: { kind: 'at most more', ms: pings },
    },
    run: { title: 'docker run with a volume', aim: { kind: 'at most more', ms: 10 } },
    usage: { title: `usage of ${full}, by the API`, aim: usage },
    usageFirst: { title: 'the same, the first question of all', aim: faster },
    usageYoung: { title: 'the same, all files just written', aim: faster },
    usageDocker: { title: 'the same, by docker system df', aim: usage },
    usageCommand: { title: 'the same, by the own command', aim: usage },
  } satisfies Record<string, VolumeRow>;
}

export type VolumeRows = ReturnType<typeof planRows>;
