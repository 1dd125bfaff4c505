import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { openUsage } from '../catalog/open-usage.ts';
import { currentSizes, type DfReport, lastSizes } from '../insight/index.ts';
import { configurationFiles } from '../model/usual-places.ts';
import { isAnythingLeft } from '../restore/index.ts';
import type { AppConfig } from './app-config.ts';
import { expectedAddresses } from './expected-addresses.ts';

export { dfJson } from '../insight/index.ts';

/**
 * What `app.usage.df()` says, from the catalog alone and without an App, whose code takes longer to load than all of this.
 * The bundle has it in a file of its own. Undefined wherever an App would do more than read: no daemon keeps the sizes of
 * the host that is asked for, killed work has left something, or the state folder or the catalog is not as it should be. The
 * App finds that too, and reports it.
 */
export async function knownDf(config: AppConfig, names: readonly string[]): Promise<DfReport | undefined> {
  const { stateDir } = config;
  try {
    if (!isAsItShouldBe(stateDir) || isAnythingLeft(stateDir) || mayNameHost(config)) return undefined;
    const addresses = await expectedAddresses(config);
    using usage = openUsage(path.join(stateDir, 'catalog.db'));
    const sizes = usage && currentSizes(lastSizes(usage, { addresses }, Date.now()), names);
    return sizes && { ...sizes, failures: [] };
  } catch {
    // Not reported here: the App fails in the same way, or knows what to do about it.
    return undefined;
  }
}

/** An App makes what is missing, and closes a folder that is open to others. */
function isAsItShouldBe(stateDir: string): boolean {
  const files = ['catalog.db', 'catalog.json'].map((name) => statSync(path.join(stateDir, name)));
  return (statSync(stateDir).mode & 0o067) === 0 && files.every((file) => file.isFile());
}

/** Whether the configuration file may say which host is meant; reading it takes a parser of YAML, and so an App. */
function mayNameHost({ host, stateDir, configFile }: AppConfig): boolean {
  if (host !== undefined) return false;
  const file = configFile ?? configurationFiles(stateDir).find((one) => existsSync(one));
  return file !== undefined && readFileSync(file, 'utf8').includes('host');
}
