import type { DfReport, SizedDisk, SizedVolume } from '../../app/app.ts';
import { dfJson } from '../../app/known-df.ts';
import { formatAge } from '../../model/duration.ts';
import { AppError } from '../../model/errors.ts';
import { quote } from '../../model/quote.ts';
import { amount, formatSize, grouped } from '../../model/size.ts';
import type { View } from './printer.ts';
import { type Column, formatTable } from './table.ts';

/** What `df` prints, its volumes in the order that they have. */
export function dfView(report: DfReport): View {
  const { volumes } = report;
  return {
    json: () => dfJson(report),
    text: () => (volumes.length === 0 ? 'There are no volumes.' : describe(report, new Date())),
    quiet: () => volumes.map(({ name }) => name),
  };
}

type Order = (a: SizedVolume, b: SizedVolume) => number;

const byName: Order = (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

function largest(of: (volume: SizedVolume) => number | undefined): Order {
  return (a, b) => (of(b) ?? Number.NEGATIVE_INFINITY) - (of(a) ?? Number.NEGATIVE_INFINITY) || byName(a, b);
}

const orders: Readonly<Record<string, Order>> = {
  size: largest(({ bytes }) => bytes ?? -1),
  name: byName,
  files: largest(({ files }) => files ?? -1),
  growth: largest(({ growthBytesPerDay: growth }) => growth ?? Number.MIN_SAFE_INTEGER),
  full: largest(({ fullAt }) => (fullAt === undefined ? -1e16 : -Date.parse(fullAt))),
};

/** By the word for `--sort`. A usage error for one that there is not. */
export function orderOf(key = 'size'): Order {
  const order = Object.hasOwn(orders, key) ? orders[key] : undefined;
  if (order !== undefined) return order;
  throw new AppError('usage', `Cannot sort by ${quote(key)}`, {
    hint: `Choose from ${Object.keys(orders).join(', ')}.`,
  });
}

function describe({ volumes, disks, total }: DfReport, now: Date): string {
  const lines = [formatTable(volumes, columnsFor(volumes, now)), ''];
  const unknown = total.unknown === 0 ? '' : `; ${total.unknown} of unknown size`;
  lines.push(
    `${amount(total.volumes, 'volume')}: ${formatSize(total.bytes)} in ${amount(total.files, 'file')}${unknown}`,
    ...disks.map((disk) => describeDisk(disk, now)),
  );
  return lines.join('\n');
}

function columnsFor(volumes: readonly SizedVolume[], now: Date): Column<SizedVolume>[] {
  const ageOf = (time: string | undefined): string => (time === undefined ? '' : formatAge(time, now));
  const columns: Column<SizedVolume>[] = [
    { title: 'NAME', value: nameOf },
    { title: 'SIZE', value: ({ bytes }) => (bytes === undefined ? '?' : formatSize(bytes)), align: 'right' },
    { title: 'FILES', value: ({ files }) => (files === undefined ? '' : grouped(files)), align: 'right' },
    { title: 'SHARE', value: ({ share }) => (share === undefined ? '' : percent(share)), align: 'right' },
    { title: 'A DAY', value: ({ growthBytesPerDay }) => growthOf(growthBytesPerDay), align: 'right' },
    { title: 'DISK FULL', value: ({ fullAt }) => fullAt?.slice(0, 10) ?? '' },
    { title: 'SNAPSHOT', value: ({ newestSnapshot }) => ageOf(newestSnapshot?.time) },
    {
      title: 'DRILL',
      value: ({ newestDrill: drill }) => (drill ? `${drill.outcome} ${ageOf(drill.drilledAt)}` : ''),
    },
    { title: 'AS OF', value: ({ isCurrent, measuredAt }) => (isCurrent ? 'now' : ageOf(measuredAt)) },
    { title: 'NOTE', value: ({ problem }) => problem ?? '' },
  ];
  // Most hosts have no growth, no drill or no problem to tell of: an empty column says nothing.
  return columns.filter(
    ({ title, value }) => title === 'NAME' || volumes.some((volume) => value(volume) !== ''),
  );
}

function nameOf({ name, anonymous }: SizedVolume): string {
  return anonymous ? `${name.slice(0, 12)} (anonymous)` : name;
}

function percent(share: number): string {
  return share < 0.001 ? '<0.1%' : `${(share * 100).toFixed(1)}%`;
}

function growthOf(bytes: number | undefined): string {
  return bytes === undefined ? '' : `${bytes > 0 ? '+' : ''}${formatSize(bytes)}`;
}

function describeDisk({ path, usedBytes, capacityBytes, freeBytes, ...disk }: SizedDisk, now: Date): string {
  const sizeOf = (bytes: number | undefined): string => (bytes === undefined ? '?' : formatSize(bytes));
  const parts = [`${sizeOf(usedBytes)} of ${sizeOf(capacityBytes)} used`, `${sizeOf(freeBytes)} free`];
  const { growthBytesPerDay: growth, fullAt } = disk;
  if (growth !== undefined) parts.push(`${growthOf(growth)} a day`);
  if (fullAt !== undefined) parts.push(`full ${formatAge(fullAt, now)}`);
  return `Disk ${quote(path)}: ${parts.join(', ')}`;
}
