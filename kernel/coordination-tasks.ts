import { ProvisionError } from '../contracts/failures.ts';
import { asCommands } from '../network/coordination/coordination-commands.ts';
import type { CoordinationOperation } from '../network/coordination/coordination-operation.ts';
import type { CoordinationRequest } from '../network/coordination/coordination-site.ts';
import { planCoordination } from '../network/coordination/plan-coordination.ts';
import { applyCoordination, type CoordinationWorkplace, undoCoordination } from './coordination-apply.ts';
import { observeCoordination } from './coordination-observe.ts';
import { findSandbox } from './namespace-search.ts';
import { closing, type NetworkNamespace, openNodeNamespace, openPodNamespace } from './network-namespace.ts';
import { systemCalls } from './system-calls.ts';

/** Which interface of which sandbox is to be tied to this node, and how. */
export interface CoordinateSpec extends CoordinationRequest {
  readonly netns: string;
  readonly netnsCookie: string;
}

export interface Coordinated {
  readonly mode: 'underlay' | 'overlay' | 'disabled';
  /** The interface's own table; absent when coordination is disabled. */
  readonly table?: number;
  /** What was done, in that order: what `uncoordinate` takes back. Empty when nothing was missing. */
  readonly operations: readonly CoordinationOperation[];
  /** The same as ip(8), nft(8) and sysctl(8) commands. */
  readonly commands: readonly string[];
  /** What was asked and is left out, a sentence each. */
  readonly notes: readonly string[];
}

export interface UncoordinateSpec {
  readonly netns: string;
  readonly netnsCookie: string;
  /** What `coordinate` did. */
  readonly operations: readonly CoordinationOperation[];
}

export interface Uncoordinated {
  readonly commands: readonly string[];
}

/** Coordination from the first look to the last change, in one go of one thread. */
export const createCoordinationTasks = (hostNetns: string | undefined) => ({
  coordinate: (spec: CoordinateSpec): Coordinated =>
    atWorkplace(hostNetns, spec.netns, openPodNamespace(systemCalls, spec.netns, spec.netnsCookie), (workplace) => {
      const plan = planned(workplace, spec);
      if (plan.outcome === 'disabled') return { mode: 'disabled', operations: [], commands: [], notes: [] };
      const { mode, table, operations, notes } = plan;
      applyCoordination(workplace, operations);
      return { mode, table, operations, commands: asCommands(operations, spec.netns), notes };
    }),

  /** A namespace that is gone took its end of everything with it, and the other end went, too. */
  uncoordinate({ netns, netnsCookie, operations }: UncoordinateSpec): Uncoordinated {
    const found = findSandbox(systemCalls, netns, netnsCookie);
    if (found === undefined) return { commands: [] };
    return atWorkplace(hostNetns, netns, found, (workplace) => ({
      commands: asCommands(undoCoordination(workplace, operations), netns),
    }));
  },

  /** What is not as `coordinate` made it, a sentence each. */
  checkCoordination: (spec: CoordinateSpec): string[] =>
    atWorkplace(hostNetns, spec.netns, openPodNamespace(systemCalls, spec.netns, spec.netnsCookie), (workplace) => {
      const plan = planned(workplace, spec);
      if (plan.outcome === 'disabled') return [];
      return asCommands(plan.operations, spec.netns).map(
        (command) => `Tying "${spec.ifName}" to the node would need: ${command}`,
      );
    }),
});

function planned(workplace: CoordinationWorkplace, spec: CoordinateSpec) {
  const { ifName, settings } = spec;
  const plan = planCoordination(
    observeCoordination(workplace, { ifName, hostRuleTable: settings.hostRuleTable }),
    spec,
  );
  if (plan.outcome === 'refused') throw new ProvisionError(plan.failure);
  return plan;
}

const atWorkplace = <Result>(
  hostNetns: string | undefined,
  netns: string,
  podNamespace: NetworkNamespace,
  work: (workplace: CoordinationWorkplace) => Result,
): Result =>
  closing(podNamespace, () =>
    closing(podNamespace.netlink(), (pod) =>
      closing(openNodeNamespace(systemCalls, hostNetns), (nodeNamespace) =>
        closing(nodeNamespace.netlink(), (node) => work({ podNamespace, pod, node, netns, indexes: new Map() })),
      ),
    ),
  );
