import type { Failure } from '../contracts/failures.ts';
import { foreseenSandbox } from '../network/plan-sandbox.ts';
import type { Paint } from './paint.ts';

/** What an ADD of each interface would do: the JSON of `orb plan`. Nothing was allocated or changed for it. */
export interface PlanPage {
  /** "namespace/name" of the pod, or the file. */
  readonly subject: string;
  /** Empty: the pod is on none yet. */
  readonly node: string;
  /** In the order in which they would be made. */
  readonly nics: readonly PlannedNic[];
  readonly warnings: readonly string[];
}

export interface PlannedNic {
  readonly ifName: string;
  /** Name of the definition, or of the configuration. */
  readonly network: string;
  readonly addresses: readonly PlannedAddress[];
  /** Ends with the first that would be refused. */
  readonly steps: readonly PlanPageStep[];
}

export interface PlannedAddress {
  /** With prefix length; a name in angle brackets where only the ADD chooses it. */
  readonly address: string;
  readonly pool: string;
  readonly isKnown: boolean;
}

export interface PlanPageStep {
  /** Type of the plugin. */
  readonly plugin: string;
  readonly does: string;
  readonly commands: readonly string[];
  readonly notes: readonly string[];
  readonly failure?: Failure;
}

/** Prints a plan as a script reads: commands as they would be typed on the node, everything else a comment. */
export function renderPlan({ subject, node, nics, warnings }: PlanPage, paint: Paint): string {
  const failure = nics.flatMap(({ steps }) => steps).find((step) => step.failure !== undefined)?.failure;
  return [
    [
      paint('bold', `# ${subject}${node === '' ? '' : ` on node ${node}`}`),
      failure === undefined
        ? `# ${foreseenSandbox} stands for the sandbox that it will get. Nothing was changed for this plan.`
        : `# ${paint('bad', 'This ADD would fail')}, and what it did until then would be undone. Nothing was changed for this plan.`,
      ...warnings.map((warning) => `# ${paint('busy', 'Warning:')} ${warning}`),
    ].join('\n'),
    ...nics.map((nic) => renderNic(nic, paint)),
  ].join('\n\n');
}

const renderNic = ({ ifName, network, addresses, steps }: PlannedNic, paint: Paint): string =>
  [
    paint('bold', `# ${ifName}: network ${network}`),
    ...addresses.map(
      ({ address, pool, isKnown }) =>
        `# address ${address} of pool ${pool}${isKnown ? '' : ', whichever one is free then'}`,
    ),
    ...steps.flatMap((step) => renderStep(step, paint)),
  ].join('\n');

const renderStep = ({ plugin, does, commands, notes, failure }: PlanPageStep, paint: Paint): string[] => [
  paint('dim', `# ${plugin}: ${does}`),
  ...commands,
  ...notes.map((note) => `# note: ${note}`),
  ...(failure === undefined ? [] : [`# ${paint('bad', `${failure.type}:`)} ${failure.message}`]),
  ...(failure?.remedy === undefined ? [] : [`# ${paint('bold', 'Remedy:')} ${failure.remedy}`]),
];
