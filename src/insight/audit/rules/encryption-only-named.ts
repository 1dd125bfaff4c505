import { quote } from '../../../model/quote.ts';
import { mountWords } from '../mount-words.ts';
import type { Rule } from '../rule.ts';

export const encryptionOnlyNamed: Rule = {
  id: 'HF-S012',
  name: 'encryption-only-named',
  severity: 'leak',
  title: 'A volume says that it is encrypted, and is not',
  meaning:
    'The local driver mounts what it is told and encrypts nothing: "encrypt" is no option of mount, so the volume does not mount at all, or the data lies on the disk in plain text.',
  *check({ volumes }) {
    for (const { name, driver, options, place } of volumes) {
      if (driver !== 'local') continue;
      const word = mountWords(options).find((one) =>
        /^(?:encrypt|encrypted|encryption|luks|crypt|crypto)(?:=|$)/i.test(one),
      );
      if (word === undefined) continue;
      // What follows may be a passphrase.
      const [option = ''] = word.split('=');
      yield {
        subject: { kind: 'volume', name },
        key: name,
        message: `The volume ${quote(name)} asks for ${quote(option)}, which encrypts nothing`,
        evidence: [
          `Its options are type=${options['type'] ?? ''}, o=${option}, device=${options['device'] ?? ''}.`,
        ],
        remedy:
          'Name an opened LUKS device ("/dev/mapper/…"), or let Holdfast keep the volume on its luks or gocryptfs driver',
        commands: [['holdfast', 'volume', 'create', '--help']],
        place,
      };
    }
  },
};
