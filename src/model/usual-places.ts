/** Where root's Holdfast keeps its state, and its configuration, if it is not told otherwise. */
export const usualStateDir = '/var/lib/holdfast';
export const systemConfigurationFile = '/etc/holdfast/holdfast.yaml';

/** Where the configuration is looked for; the first that is there counts. Pure. */
export function configurationFiles(stateDir: string): readonly string[] {
  return [`${stateDir}/holdfast.yaml`, systemConfigurationFile];
}
