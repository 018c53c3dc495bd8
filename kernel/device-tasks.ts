import type { DeviceConf, DeviceLease } from '../contracts/device.ts';
import { ProvisionError } from '../contracts/failures.ts';
import type { ClaimedAddress } from '../contracts/pod-network.ts';
import { difference } from '../network/attachment-differences.ts';
import { keyOf, keyOfConf } from '../network/device-key.ts';
import { asDeviceCommand, asDeviceCommands } from '../network/device-operation.ts';
import { asIpCommands } from '../network/link-operation.ts';
import { loanAliasOf } from '../network/loan-mark.ts';
import type { OwnershipMark } from '../network/ownership-mark.ts';
import { planAddressing } from '../network/plan-attachment.ts';
import { planLease } from '../network/plan-lease.ts';
import { planLoan } from '../network/plan-loan.ts';
import { planReturn } from '../network/plan-return.ts';
import { dumpAddresses, readAddress } from './address-message.ts';
import { applyPlan } from './apply-plan.ts';
import { applyToDevice } from './device-apply.ts';
import { type DeviceSite, type OpenPlace, observeDevice } from './device-site.ts';
import { getLink, readHasCarrier, readLink } from './link-message.ts';
import { findSandbox } from './namespace-search.ts';
import { closing, type NetworkNamespace, openNodeNamespace, openPodNamespace } from './network-namespace.ts';
import { observeLink, observeLinks, observeNamespace } from './observe.ts';
import { readPciFunction } from './pci-device.ts';
import { systemCalls } from './system-calls.ts';

/** Which device which interface of which sandbox has, and what it is to have there. */
export interface LendSpec extends OwnershipMark {
  readonly netns: string;
  readonly netnsCookie: string;
  readonly device: DeviceConf;
  readonly lease: DeviceLease;
  readonly addresses: readonly ClaimedAddress[];
  /** As for an interface that is made (network/plan-attachment.ts). */
  readonly yieldsDefaultRoute?: boolean;
}

/** Which VF: by its PCI address, or the one that a pod has as `ifName`. */
export type MasterSpec =
  | { readonly pciAddress: string }
  | { readonly netns: string; readonly netnsCookie: string; readonly ifName: string };

export type MasterAddresses =
  /** With prefix length; without those of the link alone. */
  | { readonly outcome: 'found'; readonly addresses: readonly string[] }
  | { readonly outcome: 'unknown'; readonly why: string };

/** `unsettled`: the kernel is at it, or what was begun can only now be seen; the same call goes on. */
export type Lending =
  | {
      readonly outcome: 'lent';
      readonly mac: string;
      /** Absent when a program in the pod drives the device itself: then it is no interface, and has no carrier to wait for. */
      readonly mtuBytes?: number;
      readonly hasCarrier: boolean;
      readonly commands: readonly string[];
    }
  | Unsettled;

export interface ReturnSpec extends OwnershipMark {
  readonly netns: string;
  readonly netnsCookie: string;
  readonly lease: DeviceLease;
}

export type Returning =
  | { readonly outcome: 'returned'; readonly commands: readonly string[] }
  /** Nowhere: the same call goes on when it comes; when it does not for a while, it is gone. */
  | { readonly outcome: 'missing'; readonly why: string; readonly commands: readonly string[] }
  | Unsettled;

interface Unsettled {
  readonly outcome: 'unsettled';
  readonly why: string;
  readonly commands: readonly string[];
}

/** Seeing what a plan has made, and planning the rest, more often than this leads nowhere. */
const mostRounds = 4;

/** Devices from the first look to the last change, in one go of one thread that never waits for a driver. */
export const createDeviceTasks = (hostNetns: string | undefined) => ({
  examineDevice: (conf: DeviceConf): DeviceLease =>
    atNode(hostNetns, (node) => {
      const { device, nodeLinks } = observeDevice({ node, netns: '' }, keyOfConf(conf));
      const addresses = node.socket.dump('RTM_GETADDR', dumpAddresses()).map(readAddress);
      const plan = planLease(device, { links: nodeLinks, addresses }, conf);
      if (plan.outcome === 'refused') throw new ProvisionError(plan.failure);
      return plan.lease;
    }),

  masterAddresses: (spec: MasterSpec): MasterAddresses =>
    atNode(hostNetns, (node) => {
      const pciAddress = 'pciAddress' in spec ? spec.pciAddress : pciAddressInPod(spec);
      if (pciAddress === undefined) return { outcome: 'unknown', why: "the pod's interface is no PCI function" };
      const pf = readPciFunction(pciAddress)?.pf;
      if (pf === undefined) return { outcome: 'unknown', why: `${pciAddress} is no virtual function` };
      const indexes = observeLinks(node.socket).flatMap((link) => (link.pciAddress === pf ? [link.ifIndex] : []));
      if (indexes.length === 0) return { outcome: 'unknown', why: `PF ${pf} has no link on the node` };
      const addresses = node.socket
        .dump('RTM_GETADDR', dumpAddresses())
        .map(readAddress)
        .filter(({ ifIndex, isLinkLocal }) => indexes.includes(ifIndex) && !isLinkLocal)
        .map(({ address }) => address);
      return { outcome: 'found', addresses };
    }),

  lendDevice: (spec: LendSpec): Lending =>
    inPod(hostNetns, spec, (site, pod) => {
      const { ifName, netns, lease } = spec;
      const commands: string[] = [];
      let isRebound = false;
      for (let round = 0; round < mostRounds; round += 1) {
        const seen = observeDevice(site, keyOf(lease, loanAliasOf(spec)));
        const plan = planLoan({ ...seen, isRebound }, spec);
        if (plan.outcome === 'refused') throw new ProvisionError(plan.failure);
        if (plan.outcome === 'wait') return { outcome: 'unsettled', why: plan.why, commands };
        applyToDevice(site, seen.device.link, plan.operations);
        commands.push(...asDeviceCommands(plan.operations, netns));
        isRebound ||= plan.operations.some(({ op }) => op === 'rebind');
        if (!plan.isWhole) continue;
        const { settings } = seen.device.vf ?? {};
        if (lease.link === undefined) return { outcome: 'lent', mac: settings?.mac ?? '', hasCarrier: true, commands };
        return addressed(site, pod, spec, commands);
      }
      return { outcome: 'unsettled', why: `${ifName} is not as it was made`, commands };
    }),

  returnDevice: (spec: ReturnSpec): Returning =>
    whereverThePodIs(hostNetns, spec, (site) => {
      const commands: string[] = [];
      let isRebound = false;
      for (let round = 0; round < mostRounds; round += 1) {
        const seen = observeDevice(site, keyOf(spec.lease, loanAliasOf(spec)));
        const plan = planReturn({ ...seen, isRebound }, spec.lease);
        if (plan.outcome === 'wait') return { outcome: 'unsettled', why: plan.why, commands };
        if (plan.outcome === 'missing') return { ...plan, commands };
        applyToDevice(site, seen.device.link, plan.operations);
        commands.push(...asDeviceCommands(plan.operations, spec.netns));
        isRebound ||= plan.operations.some(({ op }) => op === 'rebind');
        if (plan.isWhole) return { outcome: 'returned', commands };
      }
      return { outcome: 'unsettled', why: 'the device is not as it was made', commands };
    }),

  /** What is not as `lendDevice` made it, a sentence each. */
  checkDevice: (spec: LendSpec): string[] =>
    inPod(hostNetns, spec, (site, pod) => {
      const { ifName, netns, lease } = spec;
      const { device, podLinks } = observeDevice(site, keyOf(lease, loanAliasOf(spec)));
      if (lease.link !== undefined && device.link?.place !== 'pod') return [`Interface "${ifName}" is gone`];
      const plan = planLoan({ device, podLinks, isRebound: true }, spec);
      if (plan.outcome === 'refused') return [plan.failure.message];
      if (plan.outcome === 'wait') return [plan.why];
      const { inNode, inPod } = device.rdma;
      const lost = lease.rdmaDevices?.filter((name) => ![...inNode, ...inPod].includes(name)) ?? [];
      const changed = [
        ...lost.map((name) => `RDMA device "${name}" of "${ifName}" is gone`),
        ...plan.operations.map((operation) => `Interface "${ifName}" would need: ${asDeviceCommand(operation, netns)}`),
      ];
      const { link } = device;
      if (link === undefined || lease.link === undefined || changed.length > 0) return changed;
      const addressing = planAddressing(observeNamespace(pod.socket), link, spec);
      return addressing.outcome === 'refused' ? [addressing.failure.message] : addressing.operations.map(difference);
    }),
});

/** The device is in the pod under its name: up, with addresses and routes. */
function addressed(site: DeviceSite, pod: OpenPlace, spec: LendSpec, commands: readonly string[]): Lending {
  const { ifName, netns } = spec;
  const observed = observeNamespace(pod.socket);
  const link = observed.links.find((one) => one.ifName === ifName);
  if (link === undefined) return { outcome: 'unsettled', why: `the pod has no "${ifName}"`, commands };
  const plan = planAddressing(observed, link, spec);
  if (plan.outcome === 'refused') throw new ProvisionError(plan.failure);
  applyPlan(
    { node: site.node.socket, links: pod.socket, pod: { fd: pod.namespace.fd, netns }, indexes: new Map() },
    plan.operations,
  );
  // Only now: a driver may take over what the PF has told when the link comes up.
  const running = pod.socket.get('RTM_GETLINK', getLink({ ifName }));
  const { mac, mtuBytes } = readLink(running);
  return {
    outcome: 'lent',
    mac,
    mtuBytes,
    hasCarrier: readHasCarrier(running),
    commands: [...commands, ...asIpCommands(plan.operations, netns)],
  };
}

const atNode = <Result>(hostNetns: string | undefined, work: (node: OpenPlace) => Result): Result =>
  opened(openNodeNamespace(systemCalls, hostNetns), work);

const inPod = <Result>(
  hostNetns: string | undefined,
  { netns, netnsCookie }: { readonly netns: string; readonly netnsCookie: string },
  work: (site: DeviceSite, pod: OpenPlace) => Result,
): Result =>
  opened(openPodNamespace(systemCalls, netns, netnsCookie), (pod) =>
    atNode(hostNetns, (node) => work({ node, pod, netns }, pod)),
  );

const pciAddressInPod = ({ netns, netnsCookie, ifName }: Exclude<MasterSpec, { readonly pciAddress: string }>) =>
  opened(openPodNamespace(systemCalls, netns, netnsCookie), ({ socket }) => observeLink(socket, ifName)?.pciAddress);

/** A namespace that is gone has given its devices back to the node's, or is about to. */
function whereverThePodIs<Result>(
  hostNetns: string | undefined,
  { netns, netnsCookie }: { readonly netns: string; readonly netnsCookie: string },
  work: (site: DeviceSite) => Result,
): Result {
  const found = findSandbox(systemCalls, netns, netnsCookie);
  if (found === undefined) return atNode(hostNetns, (node) => work({ node, netns }));
  return opened(found, (pod) => atNode(hostNetns, (node) => work({ node, pod, netns })));
}

const opened = <Result>(place: NetworkNamespace, work: (place: OpenPlace) => Result): Result =>
  closing(place, (namespace) => closing(namespace.netlink(), (socket) => work({ namespace, socket })));
