import { fromText } from '../../model/byte-string.ts';
import { ApiError } from './api-error.ts';
import { parseFlag, referencesOf } from './api-filters.ts';
import type { ApiCall, ApiParts } from './api-parts.ts';
import { isOlder } from './api-version.ts';
import { type ApiVolume, toApiVolume } from './api-volume.ts';
import { sendJson } from './send.ts';

const objectTypes: readonly string[] = ['container', 'image', 'volume', 'build-cache'];

/**
 * `GET /system/df`, as the engine counts: volumes of the driver `local` without options. Before version 1.52
 * of the API, lists of everything; from then on sums, with a list when `verbose` is true, and both when the
 * client does not say.
 */
export async function showDiskUsage(
  parts: ApiParts,
  { query, response, version, signal }: ApiCall,
): Promise<void> {
  // Versions before 1.42 know no types, and show everything.
  const types = isOlder(version, '1.42') ? [] : query.getAll('type');
  const unknown = types.find((type) => !objectTypes.includes(type));
  if (unknown !== undefined) throw new ApiError(400, `unknown object type: ${unknown}`);
  const wants = (type: string): boolean => types.length === 0 || types.includes(type);
  const hasSums = !isOlder(version, '1.52');
  const verbose = hasSums ? verboseOf(query.get('verbose')) : undefined;
  const volumes = wants('volume') ? await measuredVolumes(parts, signal) : undefined;
  if (!hasSums) {
    return sendJson(response, 200, {
      LayersSize: 0,
      Images: wants('image') ? [] : null,
      Containers: wants('container') ? [] : null,
      Volumes: volumes ?? null,
      BuildCache: wants('build-cache') ? [] : null,
    });
  }
  sendJson(response, 200, {
    ...(verbose === undefined && {
      ...(wants('image') && { Images: [] }),
      ...(wants('container') && { Containers: [] }),
      ...(volumes !== undefined && { Volumes: volumes }),
      ...(wants('build-cache') && { BuildCache: [] }),
    }),
    ...(wants('image') && { ImageUsage: {} }),
    ...(wants('container') && { ContainerUsage: {} }),
    ...(volumes !== undefined && { VolumeUsage: sumsOf(volumes, verbose === true) }),
    ...(wants('build-cache') && { BuildCacheUsage: {} }),
  });
}

type MeasuredVolume = ApiVolume & Required<Pick<ApiVolume, 'UsageData'>>;

async function measuredVolumes({ volumes, sizes }: ApiParts, signal: AbortSignal): Promise<MeasuredVolume[]> {
  const counted = (await volumes.list()).filter(
    ({ driver, options }) => driver === 'local' && Object.keys(options).length === 0,
  );
  const measured = await sizes.measure(
    counted.map(({ mountpoint }) => fromText(mountpoint)),
    signal,
  );
  return counted.map((volume, index) => {
    // As the engine does: a size that cannot be measured is -1, and the volume is still listed.
    const usage = { RefCount: referencesOf(volume).length, Size: measured[index] ?? -1 };
    return { ...toApiVolume(volume), UsageData: usage };
  });
}

/** As the engine adds up: a volume of unknown size counts as active. Zero is left out. */
function sumsOf(volumes: readonly MeasuredVolume[], hasItems: boolean): Record<string, unknown> {
  const known = volumes.filter(({ UsageData: { Size: size } }) => size !== -1);
  const unused = known.filter(({ UsageData: { RefCount: count } }) => count === 0);
  const sums = {
    ActiveCount: volumes.length - unused.length,
    ...(hasItems && volumes.length > 0 && { Items: volumes }),
    Reclaimable: total(unused),
    TotalCount: volumes.length,
    TotalSize: total(known),
  };
  return Object.fromEntries(Object.entries(sums).filter(([, value]) => value !== 0));
}

function total(volumes: readonly MeasuredVolume[]): number {
  return volumes.reduce((sum, { UsageData: { Size: size } }) => sum + size, 0);
}

/** Undefined for a client that does not say, and may know the lists only. */
function verboseOf(text: string | null): boolean | undefined {
  if (text === null || text === '') return undefined;
  const flag = parseFlag(text);
  if (flag === undefined) throw new ApiError(400, `invalid value for verbose: ${text}`);
  return flag;
}
