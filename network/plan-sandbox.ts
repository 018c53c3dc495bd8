import type { CoordinationSettings } from '../contracts/coordination.ts';
import type { Failure } from '../contracts/failures.ts';
import type { LinkConf } from '../contracts/pod-network.ts';
import type { SharedLinkConf } from '../contracts/shared-link.ts';
import { asCommands } from './coordination/coordination-commands.ts';
import type { ObservedCoordination, ObservedNode } from './coordination/observed-coordination.ts';
import { planCoordination } from './coordination/plan-coordination.ts';
import { vethMacs, vethOnNode } from './coordination/pod-layout.ts';
import { asNamespace, foresee, foreseeNic } from './foresee.ts';
import { asIpCommands } from './link-operation.ts';
import { parentAmong } from './observed-namespace.ts';
import { type DesiredAddress, planAttachment } from './plan-attachment.ts';
import { nodeEndMac, nodeEndOf } from './plan-pair.ts';
import { planSharedLinks } from './plan-shared-links.ts';

/** One thing that is done for a sandbox, in the order in which it is done. */
export type SandboxStep = { readonly ifName: string } & (
  | { readonly kind: 'links'; readonly shared: readonly SharedLinkConf[] }
  | {
      readonly kind: 'interface';
      readonly link: LinkConf;
      readonly addresses: readonly DesiredAddress[];
      readonly yieldsDefaultRoute: boolean;
    }
  | {
      readonly kind: 'coordination';
      readonly settings: CoordinationSettings;
      readonly awaitedNics: readonly string[];
      readonly defaultRoutes: readonly { readonly dst: string; readonly gateway: string }[];
      /** What the node has of the pod's addresses already. */
      readonly toward: Pick<ObservedNode, 'podRoutes' | 'neighbours' | 'sourcesToPod'>;
    }
  /** Another plugin's work, as far as our own depends on it. `peer`: the other end of a veth, on the node; `mac`: this one's. */
  | {
      readonly kind: 'foreign';
      readonly makes: string;
      readonly addresses: readonly string[];
      readonly gateways: readonly string[];
      readonly mac?: string;
      readonly peer?: { readonly ifName: string; readonly mac: string };
    }
);

export interface PlannedStep {
  /** As ip(8), nft(8) and sysctl(8) commands. */
  readonly commands: readonly string[];
  /** What was asked and would be left out, a sentence each. */
  readonly notes: readonly string[];
  /** The step would be refused, and the whole sandbox undone. */
  readonly failure?: Failure;
}

/** The node as it is before the sandbox. */
export type PlanNode = Pick<ObservedNode, 'links' | 'addresses' | 'rules'> & {
  /** Of `net.ipv4.conf.all` and `.default`: a new namespace begins with them (devconf_inherit_init_net, ip-sysctl.rst). */
  readonly sysctls: Readonly<Record<string, string>>;
};

/** Stands for the ID of a sandbox that is not there yet, and for its namespace. */
export const foreseenSandbox = '<sandbox>';
const netns = `/run/netns/${foreseenSandbox}`;

/** What the MACs that come from a sandbox's ID will be called. */
export const foreseenMacs: ReadonlyMap<string, string> = new Map([
  [vethMacs(foreseenSandbox).pod, '<mac:veth0>'],
  [vethMacs(foreseenSandbox).node, `<mac:${vethOnNode(foreseenSandbox)}>`],
]);

/** What the node's end of an interface of kind veth will be called, and its MAC. */
export const foreseenNodeEnd = (ifName: string): ReadonlyMap<string, string> => {
  const mark = { containerID: foreseenSandbox, ifName };
  return new Map([
    [nodeEndOf(mark), `<veth:${ifName}>`],
    [nodeEndMac(mark), `<mac:veth:${ifName}>`],
  ]);
};

/** Plans all steps of a new sandbox, each on what those before it leave; ends with the first that would be refused. */
export function planSandbox(node: PlanNode, steps: readonly SandboxStep[]): readonly PlannedStep[] {
  let state: ObservedCoordination = {
    pod: { ...newPod, sysctls: { 'net.ipv6.conf.all.disable_ipv6': '0', ...node.sysctls } },
    node: { ...node, podRoutes: [], neighbours: [], sourcesToPod: [] },
  };
  const planned: PlannedStep[] = [];
  for (const step of steps) {
    const outcome = plan(state, step);
    planned.push(outcome.step);
    if (outcome.step.failure !== undefined) break;
    ({ state } = outcome);
  }
  return planned;
}

interface Outcome {
  readonly step: PlannedStep;
  readonly state: ObservedCoordination;
}

function plan(state: ObservedCoordination, step: SandboxStep): Outcome {
  const refused = (failure: Failure): Outcome => ({ step: { commands: [], notes: [], failure }, state });
  const { ifName } = step;
  switch (step.kind) {
    case 'links': {
      const links = planSharedLinks(state.node, step.shared);
      if (links.outcome === 'refused') return refused(links.failure);
      const { operations } = links;
      return {
        step: {
          commands: asIpCommands(operations, undefined),
          notes: operations.length === 0 ? ['all are there'] : [],
        },
        state: foresee(state, operations, 'node'),
      };
    }
    case 'interface': {
      const parent = parentAmong(state.node.links, step.link.master);
      const observed = { pod: asNamespace(state.pod), ...(parent === undefined ? {} : { parent }) };
      const { link, addresses, yieldsDefaultRoute } = step;
      const desired = { ...link, containerID: foreseenSandbox, ifName, addresses, yieldsDefaultRoute };
      const attachment = planAttachment(observed, desired);
      if (attachment.outcome === 'refused') return refused(attachment.failure);
      const { operations } = attachment;
      return { step: { commands: asIpCommands(operations, netns), notes: [] }, state: foresee(state, operations) };
    }
    case 'coordination': {
      const { settings, awaitedNics, defaultRoutes } = step;
      const { podRoutes, neighbours, sourcesToPod } = step.toward;
      const observed = { ...state, node: { ...state.node, podRoutes, neighbours, sourcesToPod } };
      const request = { containerID: foreseenSandbox, ifName, settings, awaitedNics, defaultRoutes };
      const coordination = planCoordination(observed, request);
      if (coordination.outcome === 'refused') return refused(coordination.failure);
      if (coordination.outcome === 'disabled')
        return { step: { commands: [], notes: ['its mode is disabled'] }, state };
      const { operations, notes } = coordination;
      return { step: { commands: asCommands(operations, netns), notes }, state: foresee(observed, operations) };
    }
    case 'foreign':
      return { step: { commands: [], notes: [] }, state: withForeign(state, step) };
    default:
      return step satisfies never;
  }
}

/** The two ends of a veth name each other. */
function withForeign(
  before: ObservedCoordination,
  { ifName, makes, addresses, gateways, mac = '', peer }: Extract<SandboxStep, { kind: 'foreign' }>,
): ObservedCoordination {
  const { pod, node } = foreseeNic(before, ifName, { kind: makes, addresses, gateways });
  const nic = pod.links.find((link) => link.ifName === ifName);
  if (peer === undefined || nic === undefined) return { pod, node };
  const other = {
    ...nic,
    ...peer,
    ifIndex: 1 + Math.max(0, ...node.links.map(({ ifIndex }) => ifIndex)),
    parentIndex: nic.ifIndex,
  };
  const tied = { ...nic, mac, parentIndex: other.ifIndex };
  return {
    pod: { ...pod, links: pod.links.map((link) => (link === nic ? tied : link)) },
    node: { ...node, links: [...node.links, other] },
  };
}

/** A namespace as a runtime makes it. */
const newPod: ObservedCoordination['pod'] = {
  links: [
    {
      ifIndex: 1,
      ifName: 'lo',
      mac: '',
      mtuBytes: 65_536,
      isUp: true,
      isLoopback: true,
      isEthernet: false,
      group: 0,
      alias: '',
      txQueueLen: 1000,
    },
  ],
  addresses: [],
  routes: [],
  rules: [],
  neighbours: [],
  sysctls: {},
  hasReplyMarks: false,
};
