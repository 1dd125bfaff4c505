import type { LabelOwner, Labels } from './label-reading.ts';
import { type LabelSettings, layerLabels } from './label-settings.ts';
import { readHoldfastLabels } from './labels-holdfast.ts';
import { readNauticalLabels } from './labels-nautical.ts';
import { readOffenLabels } from './labels-offen.ts';
import { readStackBackLabels } from './labels-stack-back.ts';

const foreign = [readOffenLabels, readNauticalLabels, readStackBackLabels];

/** A label that is read here. */
export function speaksToUs(label: string): boolean {
  return /^(?:holdfast|docker-volume-backup|nautical-backup|stack-back)\./.test(label);
}

/** What the labels of a volume or a container say of its backups: our own first, then those of other tools. Pure. */
export function readLabels(labels: Labels, owner: LabelOwner): LabelSettings {
  return foreign.reduce(
    (settings, read) => layerLabels(settings, read(labels, owner)),
    readHoldfastLabels(labels, owner),
  );
}
