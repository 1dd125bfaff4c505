/** Variables with what opens repositories: no program that only carries bytes needs them. */
const secret = /^(HOLDFAST_PASSWORD|RESTIC_PASSWORD)/;

/** The environment of this process for a program that carries a store. */
export function childEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !secret.test(name)));
}
