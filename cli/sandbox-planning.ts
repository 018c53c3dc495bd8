import { addressesOfMaster } from '../activities/choose-pools.ts';
import type { CoordinationSettings } from '../contracts/coordination.ts';
import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { SpiderCoordinator } from '../contracts/crds/spidercoordinator.ts';
import type { DeviceConf } from '../contracts/device.ts';
import { type Failure, ProvisionError } from '../contracts/failures.ts';
import type { AddressWish, NetworkConf } from '../contracts/pod-network.ts';
import type { PoolCatalogue } from '../ipam/pool-catalogue.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { ObservedNode } from '../network/coordination/observed-coordination.ts';
import { prefixedMac } from '../network/coordination/pod-layout.ts';
import { settingsForPod } from '../network/coordination/settings-for-pod.ts';
import { parsePrefix } from '../network/ip-prefix.ts';
import { nameOfDevice } from '../network/plan-lease.ts';
import {
  foreseenMacs,
  foreseenNodeEnd,
  type PlanNode,
  planSandbox,
  type SandboxStep,
} from '../network/plan-sandbox.ts';
import { type ExpectationEvidence, type ExpectedAddress, expectAddresses } from './expected-addresses.ts';
import { type DefinedPlugin, deviceChosenLater, type PluginsReading } from './network-definition.ts';
import type { PlannedNic, PlanPage, PlanPageStep } from './plan-page.ts';
import type { PodStanding } from './pod-standing.ts';
import { StandIns } from './stand-ins.ts';

/** A network of the pod, and what its definition says or why that is not known. */
export type FoundNetwork = { readonly ifName: string; readonly label: string } & (
  | { readonly reading: PluginsReading; readonly wishes: readonly AddressWish[] }
  | { readonly problem: string }
);

export interface PlanEvidence {
  readonly subject: string;
  readonly node: string;
  readonly pod: ExpectationEvidence['pod'];
  readonly annotations: Readonly<Record<string, string>>;
  readonly standing: PodStanding;
  /** In the order in which they are attached. */
  readonly networks: readonly FoundNetwork[];
  readonly catalogue: PoolCatalogue;
  readonly claims: readonly IPClaim[];
  readonly warnings: readonly string[];
}

/** What is looked up on the node while a plan is made. */
export interface NodeLook {
  readonly sysctls: PlanNode['sysctls'];
  masterAddresses: Kernel['masterAddresses'];
  inspectNode(of: { readonly addresses: readonly string[]; readonly hostRuleTable: number }): Promise<ObservedNode>;
}

export interface PlanPorts extends NodeLook {
  coordinator(name: string): Promise<SpiderCoordinator | undefined>;
  yieldsDefaultRoute(settings: CoordinationSettings | undefined): boolean;
}

/** Plans every network of a pod, interface by interface, as its ADDs would come. Allocates and changes nothing. */
export async function planNetworks(evidence: PlanEvidence, ports: PlanPorts): Promise<PlanPage> {
  const drafts = new Drafts(evidence, ports);
  for (const network of evidence.networks) {
    if (!(await drafts.add(network))) break;
  }
  return await drafts.page();
}

interface Draft {
  readonly ifName: string;
  readonly network: string;
  readonly addresses: readonly ExpectedAddress[];
  readonly steps: readonly DraftStep[];
}

type DraftStep = { readonly plugin: string; readonly does: string } & (
  | { readonly step: SandboxStep }
  | { readonly failure: Failure }
  | { readonly note: string }
);

class Drafts {
  readonly #evidence: PlanEvidence;
  readonly #ports: PlanPorts;
  readonly #drafts: Draft[] = [];
  readonly #names = new StandIns();

  constructor(evidence: PlanEvidence, ports: PlanPorts) {
    this.#evidence = evidence;
    this.#ports = ports;
    for (const [mac, name] of foreseenMacs) this.#names.add(mac, name);
  }

  /** False when its ADD is known to fail: then no other follows. */
  async add(found: FoundNetwork): Promise<boolean> {
    const { ifName, label: network } = found;
    if ('problem' in found || found.reading.outcome === 'unreadable') {
      const problem =
        'problem' in found ? found.problem : found.reading.outcome === 'unreadable' ? found.reading.problem : '';
      this.#drafts.push({ ifName, network, addresses: [], steps: [this.#unknownNic(ifName, 'unknown', problem)] });
      return true;
    }
    const { plugins } = found.reading;
    const asking = plugins.find(asksForAddresses);
    const expected = asking === undefined ? undefined : await this.#expect(found, asking.network);
    if (expected?.outcome === 'refused') {
      const steps = [{ plugin: asking?.type ?? '', does: 'its addresses', failure: expected.failure }];
      this.#drafts.push({ ifName, network, addresses: [], steps });
      return false;
    }
    const addresses = expected?.addresses ?? [];
    for (const address of addresses) this.#nameAddress(ifName, address);
    const steps: DraftStep[] = [];
    for (const plugin of plugins) steps.push(...(await this.#stepsOf(ifName, plugin, addresses, steps)));
    for (const warning of expected?.warnings ?? [])
      steps.push({ plugin: asking?.type ?? '', does: 'its pools', note: warning });
    this.#drafts.push({ ifName, network, addresses, steps });
    return steps.every((step) => !('failure' in step));
  }

  async page(): Promise<PlanPage> {
    const { subject, node, warnings } = this.#evidence;
    const { links, addresses, rules } = await this.#ports.inspectNode({ addresses: [], hostRuleTable: 500 });
    const all = this.#drafts.flatMap(({ steps }) => steps.flatMap((step) => ('step' in step ? [step.step] : [])));
    const planned = planSandbox({ links, addresses, rules, sysctls: this.#ports.sysctls }, all);
    const outcomeOf = (step: SandboxStep) => planned[all.indexOf(step)];
    const named = (texts: readonly string[]): string[] => texts.map((text) => this.#names.named(text));
    const nics: PlannedNic[] = [];
    for (const draft of this.#drafts) {
      const steps: PlanPageStep[] = [];
      for (const step of draft.steps) {
        const { plugin, does } = step;
        const outcome =
          'step' in step
            ? outcomeOf(step.step)
            : { commands: [], notes: 'note' in step ? [step.note] : [], failure: undefined };
        if (outcome === undefined) break; // an earlier one would be refused
        const failure = 'failure' in step ? step.failure : outcome.failure;
        steps.push({
          plugin,
          does: this.#names.named(does),
          commands: named(outcome.commands),
          notes: named(outcome.notes),
          ...(failure === undefined ? {} : { failure: this.#namedFailure(failure) }),
        });
        if (failure !== undefined) break;
      }
      if (steps.length === 0) break;
      nics.push({
        ifName: draft.ifName,
        network: draft.network,
        addresses: draft.addresses.map(({ address, pool, isKnown }) => ({
          address: this.#names.named(address),
          pool,
          isKnown,
        })),
        steps,
      });
      if (steps.some(({ failure }) => failure !== undefined)) break;
    }
    return { subject, node, nics, warnings };
  }

  #namedFailure({ type, message, remedy }: Failure): Failure {
    const named = { type, message: this.#names.named(message) };
    return remedy === undefined ? named : { ...named, remedy: this.#names.named(remedy) };
  }

  async #expect({ ifName, wishes }: Extract<FoundNetwork, { reading: unknown }>, network: NetworkConf) {
    const { standing, pod, catalogue, claims } = this.#evidence;
    const others = this.#drafts.flatMap(({ addresses }) => addresses);
    const asked = network.matchMasterSubnet === true ? await this.#masterAddresses(ifName, network) : undefined;
    const request = { ...standing, ifName, network, ...(asked && { masterAddresses: asked }) };
    return await expectAddresses({ request, pod, wishes, catalogue, claims, others });
  }

  /** Of the PF behind the VF that the network or the pod has; a pod that has none yet gets any. */
  async #masterAddresses(ifName: string, { madeBy, device }: NetworkConf) {
    const { standing, pod, claims } = this.#evidence;
    const place = claims
      .flatMap(({ spec }) => (spec.phase === 'Bound' ? spec.holders : []))
      .find((holder) => holder.podUID === pod.uid && holder.interface === ifName && holder.node === standing.node.name);
    const isNamed = device?.kind === 'sriov' && device.pciAddress !== deviceChosenLater;
    const conf = { ...(madeBy === undefined ? {} : { madeBy }), ...(isNamed ? { device } : {}) };
    try {
      return await addressesOfMaster(this.#ports, conf, place && { ...place, ifName });
    } catch (error) {
      // The claim of a sandbox outlives it: until its DEL, or the sweep, comes.
      if (error instanceof ProvisionError) return { problem: error.message };
      throw error;
    }
  }

  #nameAddress(ifName: string, { address, pool, isKnown }: ExpectedAddress): void {
    if (!isKnown) this.#names.add(address.replace(/\/.*/, ''), `<${ifName}:${pool}>`);
  }

  async #stepsOf(
    ifName: string,
    plugin: DefinedPlugin,
    addresses: readonly ExpectedAddress[],
    before: readonly DraftStep[],
  ): Promise<readonly DraftStep[]> {
    const { type } = plugin;
    if (plugin.outcome === 'refused') return [{ plugin: type, does: 'its configuration', failure: plugin.failure }];
    if (plugin.outcome === 'foreign') return [this.#foreign(ifName, plugin, addresses, before)];
    const { shared = [], link, device, coordination } = plugin.network;
    const steps: DraftStep[] = [];
    if (shared.length > 0) {
      steps.push({ plugin: type, does: 'links of the node that pods share', step: { ifName, kind: 'links', shared } });
    }
    const reading =
      coordination === undefined
        ? undefined
        : settingsForPod(
            coordination,
            this.#evidence.annotations,
            await this.#ports.coordinator(coordination.coordinator),
          );
    const settings = reading?.outcome === 'settings' ? reading.settings : undefined;
    const yieldsDefaultRoute = this.#ports.yieldsDefaultRoute(settings);
    if (device !== undefined) steps.push(...lentDevice(ifName, type, device, addresses, yieldsDefaultRoute));
    if (link?.kind === 'veth') for (const [value, name] of foreseenNodeEnd(ifName)) this.#names.add(value, name);
    if (link !== undefined) {
      steps.push({
        plugin: type,
        does: "the pod's interface",
        step: { ifName, kind: 'interface', link, addresses, yieldsDefaultRoute },
      });
    }
    const does = 'the way between pod and node, and routes among its interfaces';
    if (reading?.outcome === 'refused') steps.push({ plugin: type, does, failure: reading.failure });
    if (settings !== undefined) {
      const own = addresses.map(({ address }) => address.replace(/\/.*/, ''));
      this.#nameMac(ifName, settings, addresses);
      const toward = await this.#ports.inspectNode({
        addresses: own.length > 0 ? own : this.#foreignAddresses(before),
        hostRuleTable: settings.hostRuleTable,
      });
      const defaultRoutes =
        link === undefined && device === undefined
          ? []
          : defaultRoutesOf(addresses).map(({ dst, gw }) => ({ dst, gateway: gw }));
      const awaitedNics = this.#evidence.networks.map((network) => network.ifName);
      const step: SandboxStep = { ifName, kind: 'coordination', settings, awaitedNics, defaultRoutes, toward };
      steps.push({ plugin: type, does, step });
    }
    return steps;
  }

  #nameMac(ifName: string, { podMACPrefix }: CoordinationSettings, addresses: readonly ExpectedAddress[]): void {
    const [first] = addresses.toSorted((one, other) => one.family - other.family);
    if (podMACPrefix === undefined || first === undefined || first.isKnown) return;
    this.#names.add(prefixedMac(podMACPrefix, parsePrefix(first.address).bytes), `<mac:${ifName}>`);
  }

  /** Another plugin makes the interface, with our addresses or with some of its own; those after it only change it. */
  #foreign(
    ifName: string,
    { type, network }: Extract<DefinedPlugin, { outcome: 'foreign' }>,
    addresses: readonly ExpectedAddress[],
    before: readonly DraftStep[],
  ): DraftStep {
    const isMade = before.some((one) => 'step' in one && one.step.kind !== 'links');
    if (isMade) return { plugin: type, does: `changes ${ifName}`, note: 'what this plugin does is not foreseen' };
    if (network === undefined) return this.#unknownNic(ifName, type, 'its IPAM is not ours');
    const gateways = defaultRoutesOf(addresses).map(({ gw }) => gw);
    const own = addresses.map(({ address }) => address);
    return {
      plugin: type,
      does: `makes ${ifName} with ${own.join(' and ')}`,
      step: { ifName, kind: 'foreign', makes: type, addresses: own, gateways },
    };
  }

  /** Like the interface of an overlay network: one address, one default route, a veth. */
  #unknownNic(ifName: string, plugin: string, why: string): DraftStep {
    const place = this.#drafts.length + 1;
    const [address, gateway] = [`198.18.0.${place}`, `198.18.1.${place}`]; // RFC 2544: nobody's
    const octet = place.toString(16).padStart(2, '0');
    const [mac, peerMac] = [`02:00:00:12:${octet}:00`, `02:00:00:12:${octet}:01`];
    const peer = { ifName: `<peer:${ifName}>`, mac: peerMac };
    this.#names.add(address, `<address:${ifName}>`);
    this.#names.add(gateway, `<gateway:${ifName}>`);
    this.#names.add(mac, `<mac:${ifName}>`);
    this.#names.add(peerMac, `<mac:peer:${ifName}>`);
    return {
      plugin,
      does: `makes ${ifName}, taken for a veth with an IPv4 address and a default route: ${why}`,
      step: { ifName, kind: 'foreign', makes: 'veth', addresses: [`${address}/32`], gateways: [gateway], mac, peer },
    };
  }

  #foreignAddresses(before: readonly DraftStep[]): readonly string[] {
    return before.flatMap((one) =>
      'step' in one && one.step.kind === 'foreign' ? one.step.addresses.map((text) => text.replace(/\/.*/, '')) : [],
    );
  }
}

/** How a device comes into the pod depends on what its driver shows then; what comes after it finds it there. */
function lentDevice(
  ifName: string,
  plugin: string,
  device: DeviceConf,
  addresses: readonly ExpectedAddress[],
  yieldsDefaultRoute: boolean,
): readonly DraftStep[] {
  const note = 'its commands are planned when the device can be looked at';
  if (device.kind === 'rdma') return [{ plugin, does: `lends the RDMA device of ${ifName} to the pod`, note }];
  const does = `lends ${device.kind === 'sriov' ? 'a VF' : nameOfDevice(device)} to the pod as ${ifName}`;
  const gateways = yieldsDefaultRoute ? [] : defaultRoutesOf(addresses).map(({ gw }) => gw);
  const own = addresses.map(({ address }) => address);
  return [
    { plugin, does, note },
    {
      plugin,
      does: `${ifName} with ${own.join(' and ')}`,
      step: { ifName, kind: 'foreign', makes: device.kind, addresses: own, gateways },
    },
  ];
}

const defaultRoutesOf = (addresses: readonly ExpectedAddress[]) =>
  addresses.flatMap(({ routes }) => routes).filter(({ dst }) => dst.endsWith('/0'));

const asksForAddresses = (
  plugin: DefinedPlugin,
): plugin is Extract<DefinedPlugin, { network?: NetworkConf }> & { readonly network: NetworkConf } =>
  plugin.outcome !== 'refused' &&
  plugin.network !== undefined &&
  (plugin.network.provides === 'interface' || plugin.network.provides === 'addresses');
