import type { Host } from '../hosts/host.ts';
import { errorInWords } from '../lib/known-error.ts';
import { AppError, isAppError } from '../model/errors.ts';
import type { Finding } from '../model/finding.ts';
import { quote } from '../model/quote.ts';
import type { HostVolumes } from '../volumes/index.ts';
import { checkProject } from './check/check-project.ts';
import type { SettingProblem } from './check/settings.ts';
import type { ComposeProject, ComposeRequest } from './compose-project.ts';
import { type ExplainedMount, explainMounts, type KnownProtection } from './explain/explain-mounts.ts';
import { explainIn, type Language, languageOf } from './explain/sentences.ts';
import { drawMermaid } from './graph/draw-mermaid.ts';
import { drawSvg } from './graph/draw-svg.ts';
import { drawText } from './graph/draw-text.ts';
import { buildGraph, type StorageGraph } from './graph/storage-graph.ts';
import { loadProject } from './load-project.ts';
import { formatPosition } from './parse-yaml.ts';
import { applyPrepare, type PrepareOutcome } from './prepare/apply-prepare.ts';
import { planPrepare, type PreparePlan } from './prepare/plan-prepare.ts';
import { lookAtProject, type ProjectFacts } from './project-facts.ts';

export interface ComposeOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface ComposeCheckReport {
  readonly project: string;
  readonly directory: string;
  /** The Compose files, in the order in which they are merged. */
  readonly files: readonly string[];
  /** The worst first. */
  readonly findings: readonly Finding[];
  /** Sentences on what could not be looked at. */
  readonly unseen: readonly string[];
}

export interface Explanation {
  readonly project: string;
  readonly language: Language;
  readonly mounts: readonly (ExplainedMount & { readonly sentence: string })[];
  readonly unseen: readonly string[];
}

/** A graph, drawn when it is asked for. */
export interface DrawnGraph {
  readonly graph: StorageGraph;
  readonly unseen: readonly string[];
  /** For a terminal of so many columns; without them, as wide as it has to be. */
  readonly text: (width?: number) => string;
  readonly mermaid: () => string;
  readonly svg: () => string;
}

/**
 * What Holdfast does with Compose files that may not have been started. Only `prepare` changes anything; all
 * work without an engine, and say what they could not look at.
 */
export interface Compose {
  /** What is wrong with a project on this machine, and what `up` would do that hurts. */
  check(request: ComposeRequest, options?: ComposeOptions): Promise<ComposeCheckReport>;
  /** What `prepare` would make. */
  planPrepare(request: ComposeRequest, options?: ComposeOptions): Promise<PreparePlan>;
  /** Makes what a plan says. What exists by then is left as it is. */
  prepare(plan: PreparePlan, options?: ComposeOptions): Promise<readonly PrepareOutcome[]>;
  graph(request: ComposeRequest, options?: ComposeOptions): Promise<DrawnGraph>;
  /** Each mount in one sentence; without a language, in that of the request's environment. */
  explain(
    request: ComposeRequest,
    options?: ComposeOptions & { readonly language?: Language | undefined },
  ): Promise<Explanation>;
}

/** What other rooms know of a project's files. */
export interface ComposeKnowledge {
  readonly host: () => Promise<Host>;
  readonly volumes: () => Promise<HostVolumes>;
  /** Reads `x-holdfast` of Compose files. */
  readonly readSettings: (files: readonly string[]) => Promise<{
    readonly problems: readonly SettingProblem[];
    readonly policies: readonly string[];
    /** For a volume of a service, by its key: the policies, or `false` for no backup. */
    readonly wanted: (volume: string, service: string) => readonly string[] | false | undefined;
  }>;
  /** The names of all policies; throws when the configuration cannot be read. */
  readonly policies: () => Promise<readonly string[]>;
  /** By volume name and path; throws when it cannot be known. */
  readonly protection: (signal: AbortSignal | undefined) => Promise<KnownProtection>;
}

export function openCompose(knowledge: ComposeKnowledge): Compose {
  const { host, volumes } = knowledge;
  const load = async (
    request: ComposeRequest,
    { signal }: ComposeOptions,
  ): Promise<{ project: ComposeProject; facts: ProjectFacts }> => {
    const project = await loadProject({ ...request, signal });
    return { project, facts: await lookAtProject(project, { host, signal }) };
  };
  return {
    async check(request, options = {}) {
      const { project, facts } = await load(request, options);
      const { name, directory, files } = project;
      const { problems, policies: namedPolicies } = await knowledge.readSettings(files);
      const unseen = [...facts.unseen];
      const knownPolicies = await knowledge.policies().catch((error: unknown) => {
        unseen.push(`Whether the policies exist is not known: ${errorInWords(error)}.`);
        return undefined;
      });
      const found = checkProject(project, facts, { problems, namedPolicies, knownPolicies });
      const findings = found.map((finding) => ({
        ...finding,
        commands: finding.commands.map((command) => onSameProject(command, request)),
      }));
      return { project: name, directory, files, findings, unseen };
    },

    async planPrepare(request, options = {}) {
      const { project, facts } = await load(request, options);
      const hint = 'See "holdfast compose check".';
      const refusal = project.problems.find(({ kind }) => kind === 'error');
      if (refusal !== undefined)
        throw new AppError(
          'usage',
          `Compose refuses the project ${quote(project.name)}: ${refusal.message}`,
          {
            hint,
          },
        );
      // A volume whose "storage" is misspelt would be made in the clear.
      const { problems } = await knowledge.readSettings(project.files);
      const [problem] = problems;
      if (problem !== undefined)
        throw new AppError('usage', `${formatPosition(problem)}: ${problem.message}`, { hint });
      return planPrepare(project, facts);
    },

    prepare: (plan, { signal } = {}) => applyPrepare(plan, { volumes, signal }),

    async graph(request, options = {}) {
      const { project, facts } = await load(request, options);
      const graph = buildGraph(project, facts);
      return {
        graph,
        unseen: facts.unseen,
        text: (width) => drawText(graph, width),
        mermaid: () => drawMermaid(graph),
        svg: () => drawSvg(graph),
      };
    },

    async explain(request, { signal, language = languageOf(request.env) } = {}) {
      const { project, facts } = await load(request, { signal });
      const unseen = [...facts.unseen];
      const nothing: KnownProtection = new Map();
      const ask = (): Promise<KnownProtection> =>
        knowledge.protection(signal).catch((error: unknown) => {
          if (isAppError(error, 'cancelled')) throw error;
          unseen.push(`Whether a policy covers it is not known: ${errorInWords(error)}.`);
          return nothing;
        });
      // Without an engine the answer would be the same refusal.
      const protection = facts.volumes === undefined ? nothing : await ask();
      const { wanted } = await knowledge.readSettings(project.files);
      const mounts = explainMounts(project, facts, { known: protection, wanted }).map((mount) => ({
        ...mount,
        sentence: explainIn(language, mount),
      }));
      return { project: project.name, language, mounts, unseen };
    },
  };
}

/** A command that is printed has to find the project that was looked at. */
function onSameProject(command: readonly string[], request: ComposeRequest): readonly string[] {
  if (command[0] !== 'holdfast' || command[1] !== 'compose') return command;
  const { files = [], directory, projectDirectory, envFiles = [], projectName, profiles = [] } = request;
  const flags = (name: string, values: readonly (string | undefined)[]): string[] =>
    values.flatMap((value) => (value === undefined ? [] : [name, value]));
  return [
    ...command,
    ...flags('--project-directory', [projectDirectory]),
    ...flags('--env-file', envFiles),
    ...flags('--project-name', [projectName]),
    ...flags('--profile', profiles),
    ...flags('--file', files),
    ...flags('--file', files.length === 0 ? [directory] : []),
  ];
}
