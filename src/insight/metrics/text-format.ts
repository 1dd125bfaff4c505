import { printableField } from '../../model/quote.ts';

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** One metric, with all its series. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  /** Undefined for a gauge. */
  readonly type?: 'counter';
  /** No two with the same labels. */
  readonly samples: readonly Sample[];
}

/** The value where several have the same labels. */
type Combine = 'least' | 'greatest' | 'sum';

/** A family of gauges; samples that will be printed with the same labels become one. Pure. */
export function gauge(
  name: string,
  help: string,
  combine: Combine,
  samples: readonly Sample[],
): MetricFamily {
  return { name, help, samples: combineSamples(samples, combine) };
}

/** Prometheus counts times in seconds. */
export function seconds(ms: number): number {
  return ms / 1000;
}

/**
 * One sample for each set of labels, as it will be printed: anonymous volumes share a series, and two hostile
 * names may look the same. A repeated series would make Prometheus refuse the whole answer. Pure.
 */
function combineSamples(samples: readonly Sample[], combine: Combine): Sample[] {
  const known = new Map<string, Sample>();
  for (const { labels: given, value } of samples) {
    const labels = Object.fromEntries(Object.entries(given).map(([name, text]) => [name, printable(text)]));
    const key = JSON.stringify(labels);
    const other = known.get(key)?.value;
    known.set(key, { labels, value: other === undefined ? value : combined[combine](other, value) });
  }
  return [...known.values()];
}

const combined = { least: Math.min, greatest: Math.max, sum: (a: number, b: number) => a + b } as const;

/** Control and reordering characters are spelled out: a dashboard shows what containers name. */
function printable(text: string): string {
  return printableField(text.toWellFormed());
}

/** Version 0.0.4 of Prometheus' text format. Pure. Families without samples are left out. */
export function formatMetrics(families: readonly MetricFamily[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, type = 'gauge', samples }) => {
      const head = `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
      return head + samples.map(({ labels, value }) => `${name}${formatLabels(labels)} ${value}\n`).join('');
    })
    .join('');
}

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

function formatLabels(labels: Labels): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return '';
  return `{${entries.map(([name, value]) => `${name}="${escapeLabel(value)}"`).join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}
