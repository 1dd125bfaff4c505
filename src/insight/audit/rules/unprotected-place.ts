import { quote } from '../../../model/quote.ts';
import type { CoveredPlace } from '../../../policies/index.ts';
import { type AuditView, type Place, nowhere } from '../audit-view.ts';
import type { Rule } from '../rule.ts';

export const unprotectedPlace: Rule = {
  id: 'HF-B001',
  name: 'no-policy',
  severity: 'loss',
  title: 'No policy covers a volume',
  meaning: 'There is no backup that is made by itself: what is lost there is lost.',
  *check(view) {
    for (const place of view.places) {
      if (place.policies.length > 0 || !needsPolicy(place)) continue;
      yield {
        subject: { kind: 'volume', name: place.name },
        key: place.name,
        message: `No policy covers the volume ${quote(place.name)}`,
        evidence: [
          ...(place.consumers.length === 0
            ? []
            : [`It is used by ${place.consumers.map(quote).join(', ')}.`]),
          place.newest === undefined
            ? 'It was never saved.'
            : `It was saved by hand; the newest snapshot is ${quote(place.newest.id.slice(0, 8))}.`,
        ],
        remedy: 'Add it to a policy in holdfast.yaml; "holdfast setup" proposes one',
        commands: [['holdfast', 'coverage']],
        place: placeOfVolume(view, place.name),
      };
    }
  },
};

/** Unused anonymous volumes have a rule of their own, and bind mounts are the machine's as often as the app's. */
export function needsPolicy({ kind, state, consumers }: CoveredPlace): boolean {
  return (
    state !== 'cache' &&
    (kind === 'volume' || kind === 'plugin' || (kind === 'anonymous' && consumers.length > 0))
  );
}

export function placeOfVolume({ volumes }: AuditView, name: string): Place {
  return volumes.find((volume) => volume.name === name)?.place ?? nowhere;
}
