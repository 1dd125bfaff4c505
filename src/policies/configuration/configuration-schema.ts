import { configurationShape } from './configuration.ts';
import type { JsonSchema } from '../../lib/shape.ts';

/** The JSON schema of `holdfast.yaml`, for editors. `docs/schema/holdfast.schema.json` is this. */
export const configurationSchema: JsonSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'holdfast.yaml',
  ...configurationShape.schema,
};
