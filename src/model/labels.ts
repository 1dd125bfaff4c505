import type { LabelOwner, Labels } from './label-reading.ts';
import { type LabelWishes, layerWishes } from './label-wishes.ts';
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
export function readLabels(labels: Labels, owner: LabelOwner): LabelWishes {
  return foreign.reduce(
    (wishes, read) => layerWishes(wishes, read(labels, owner)),
    readHoldfastLabels(labels, owner),
  );
}
