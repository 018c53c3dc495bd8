import { ProvisionError } from '../contracts/failures.ts';
import { asCommands } from '../network/coordination/coordination-commands.ts';
import type { CoordinationOperation } from '../network/coordination/coordination-operation.ts';
import type { CoordinationRequest } from '../network/coordination/coordination-site.ts';
import type { ObservedNode } from '../network/coordination/observed-coordination.ts';
import { planCoordination } from '../network/coordination/plan-coordination.ts';
import { planUntying, type Untying } from '../network/coordination/plan-untying.ts';
import { parseAddress } from '../network/ip-prefix.ts';
import {
  applyCoordination,
  type CoordinationWorkplace,
  removeWhatIsThere,
  undoCoordination,
} from './coordination-apply.ts';
import { observeCoordination, observeNode } from './coordination-observe.ts';
import { findSandbox } from './namespace-search.ts';
import {
  closing,
  type NetworkNamespace,
  openNamespace,
  openNodeNamespace,
  openPodNamespace,
} from './network-namespace.ts';
import { removeNodeEnd } from './remove-unless-gone.ts';
import { systemCalls } from './system-calls.ts';

/** Which interface of which sandbox is to be tied to this node, and how. */
export interface CoordinateSpec extends CoordinationRequest {
  readonly netns: string;
  readonly netnsCookie: string;
}

export interface PlannedCoordination {
  readonly mode: 'underlay' | 'overlay' | 'disabled';
  /** The interface's own table; absent when coordination is disabled. */
  readonly table?: number;
  /** The interface's own, with prefix length; none when coordination is disabled. */
  readonly addresses: readonly string[];
  /** What `applyCoordination` does, in that order, and `uncoordinate` takes back. Empty when nothing is missing. */
  readonly operations: readonly CoordinationOperation[];
  /** The same as ip(8), nft(8) and sysctl(8) commands. */
  readonly commands: readonly string[];
  /** What was asked and is left out, a sentence each. */
  readonly notes: readonly string[];
}

/** A plan of `planCoordination`, or several, and where it is carried out. */
export interface CoordinationWork {
  readonly netns: string;
  readonly netnsCookie: string;
  readonly operations: readonly CoordinationOperation[];
}

/** What of the node coordination depends on, for these addresses of pods (without prefix length). */
export interface NodeQuestion {
  readonly addresses: readonly string[];
  readonly hostRuleTable: number;
}

/** An interface of which no record is left. */
export interface UntieSpec extends Untying {
  /** Of namespaces of other sandboxes. */
  readonly othersCookies: readonly string[];
  readonly netns: string;
}

export interface Uncoordinated {
  readonly commands: readonly string[];
}

/**
 * Looking and changing are tasks of their own: what is planned is written down between them. The sandbox's lock keeps the pod as
 * it was seen; what another pod does to the node meanwhile is taken for done.
 */
export const createCoordinationTasks = (hostNetns: string | undefined) => ({
  planCoordination: (spec: CoordinateSpec): PlannedCoordination =>
    atWorkplace(hostNetns, spec.netns, openPodNamespace(systemCalls, spec.netns, spec.netnsCookie), (workplace) => {
      const plan = planned(workplace, spec);
      if (plan.outcome === 'disabled')
        return { mode: 'disabled', addresses: [], operations: [], commands: [], notes: [] };
      const { mode, table, addresses, operations, notes } = plan;
      return { mode, table, addresses, operations, commands: asCommands(operations, spec.netns), notes };
    }),

  applyCoordination({ netns, netnsCookie, operations }: CoordinationWork): void {
    if (operations.length === 0) return;
    atWorkplace(hostNetns, netns, openPodNamespace(systemCalls, netns, netnsCookie), (workplace) =>
      applyCoordination(workplace, operations),
    );
  },

  /** A namespace that is gone took its end of everything with it. Somebody may keep one that is not in sight: nothing leads there any more. */
  uncoordinate({ netns, netnsCookie, operations }: CoordinationWork): Uncoordinated {
    const found = findSandbox(systemCalls, netns, netnsCookie);
    if (found === undefined) {
      const pairs = operations.filter((operation) => operation.op === 'create-veth');
      // Known by name and MAC, which are made of the container ID; its routes and neighbours go with it.
      const commands = pairs.flatMap(({ nodeEnd: { ifName, mac } }) =>
        removeNodeEnd(hostNetns, ifName, (link) => link.kind === 'veth' && link.mac === mac),
      );
      return { commands };
    }
    return atWorkplace(hostNetns, netns, found, (workplace) => ({
      commands: asCommands(undoCoordination(workplace, operations), netns),
    }));
  },

  inspectNode: ({ addresses, hostRuleTable }: NodeQuestion): ObservedNode =>
    closing(openNodeNamespace(systemCalls, hostNetns), (namespace) =>
      closing(namespace.netlink(), (node) => observeNode(node, addresses.map(parseAddress), hostRuleTable)),
    ),

  /** A path may lead elsewhere by now: what it opens is left alone when it is the node's own, or another sandbox's. */
  untie({ netns, othersCookies, ...untying }: UntieSpec): Uncoordinated {
    const opening = openNamespace(systemCalls, netns);
    if (opening.outcome !== 'opened') return { commands: [] };
    const nodeCookie = closing(openNodeNamespace(systemCalls, hostNetns), ({ cookie }) => cookie);
    return atWorkplace(hostNetns, netns, opening.namespace, (workplace) => {
      const { cookie } = workplace.podNamespace;
      if (cookie === nodeCookie || othersCookies.includes(cookie)) return { commands: [] };
      const removals = planUntying(observeCoordination(workplace, { ifName: untying.ifName }), untying);
      return { commands: asCommands(removeWhatIsThere(workplace, removals), netns) };
    });
  },

  /** What is not as `planCoordination` and `applyCoordination` made it, a sentence each. */
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
