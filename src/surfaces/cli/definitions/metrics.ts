import { defineCommand, textFlag } from '../define-command.ts';
import type { MetricsFlags } from '../commands/metrics.ts';

const metrics = defineCommand<MetricsFlags>({
  onlyReads: true,
  brief: 'Print metrics for Prometheus',
  description:
    'For each policy and volume: the last good backup, the expected interval and when the next is due, so that two rules catch every missed backup; and what was verified, drilled and is left open. --output writes them to a file in one step, for the textfile collector of node_exporter. "holdfast daemon --metrics 127.0.0.1:9464" serves the same over HTTP.',
  usage: ['', '--output /var/lib/prometheus/node-exporter/holdfast.prom'],
  flags: { output: textFlag('Replace this file, whole, instead of printing', 'FILE') },
  args: [],
  load: async () => (await import('../commands/metrics.ts')).runMetrics,
});

export const metricsRoutes = { metrics };
