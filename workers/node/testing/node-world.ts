import { createNodeActivities, createNodeSteps, type NodePorts } from '../../../activities/node-activities.ts';
import type {
  AttachmentRecord,
  AttachmentRecords,
  ClaimStore as ClaimPort,
  Coordinators,
  Identities,
  IdentityState,
  Kernel,
  Log,
  NodeIdentity,
  Pod,
  PodReader,
  PoolReader,
  Surroundings,
} from '../../../activities/node-ports.ts';
import { type Attachment, attachmentKey } from '../../../contracts/attachment.ts';
import { readClusterSettings } from '../../../contracts/cluster-settings.ts';
import type { CoordinationSettings } from '../../../contracts/coordination.ts';
import type { IPClaimSpec } from '../../../contracts/crds/ipclaim.ts';
import type { SpiderCoordinator } from '../../../contracts/crds/spidercoordinator.ts';
import type { VfSettings } from '../../../contracts/device.ts';
import { ProvisionError } from '../../../contracts/failures.ts';
import type { ClaimHolder, ClaimPhase } from '../../../contracts/ip-claim.ts';
import type { NodeActivities } from '../../../contracts/node-activities.ts';
import type { ProbeTiming } from '../../../contracts/probing.ts';
import { type ReservedIPObject, readPoolCatalogue } from '../../../ipam/pool-catalogue.ts';
import type { Application, Labels } from '../../../ipam/pool-request.ts';
import type { PoolObject } from '../../../ipam/pool-snapshot.ts';
import type { ApiClient } from '../../../kube/api-client.ts';
import { claimLabels } from '../../../kube/claim-labels.ts';
import { ClaimStore } from '../../../kube/claim-store.ts';
import { MemoryClaims } from '../../../kube/testing/memory-claims.ts';
import type { CoordinationOperation } from '../../../network/coordination/coordination-operation.ts';
import { addRequest } from '../../../workflows/testing/node-model.ts';
import { OpenCalls } from '../open-calls.ts';
import { SandboxLocks } from '../sandbox-locks.ts';

export interface MemoryNamespace {
  readonly cookie: string;
  readonly links: Map<string, MemoryLink>;
}

export interface MemoryLink {
  /** The sandbox that its ownership mark names; empty when another plugin made it. */
  readonly owner: string;
  readonly addresses: Set<string>;
}

export interface MemoryDevice {
  /** Empty while it is the node's. */
  readonly owner: string;
  readonly settings: VfSettings;
}

/** One moment of one port call: `moment` counts the calls of a world from 0. */
export interface Moment {
  readonly call: string;
  readonly at: 'before' | 'after';
  readonly moment: number;
}

export const node = { name: 'r7-n1', machineID: 'm1', bootID: 'b1' };

/** A sandbox of the pod of `addRequest` on this node, as it stands in a claim. */
export const holderOf = (containerID: string, podUID = addRequest().pod.uid): ClaimHolder => ({
  namespace: 'pay',
  pod: 'api-0',
  podUID,
  interface: 'eth0',
  network: 'underlay',
  containerID,
  netns: `/run/netns/${containerID}`,
  netnsCookie: `of ${containerID}`,
  node: node.name,
  machineID: node.machineID,
  bootID: node.bootID,
});

/**
 * What outlives a worker: the API server, the pods, the kernel and the files of one node, in memory. The claims go through the
 * real claim store. Every call through a port can be watched, failed or answered by killing the worker.
 */
export class NodeWorld {
  readonly api: MemoryClaims;
  readonly node: NodeIdentity;
  readonly pools = new Map<string, PoolObject>();
  readonly reservations: ReservedIPObject[] = [];
  readonly pods = new Map<string, Pick<Pod, 'uid' | 'annotations' | 'isAlive'> & Partial<Pod>>();
  /** What is written on the pods' namespaces, and on the node. */
  readonly namespaceMarks = new Map<string, { labels?: Labels; annotations?: Labels }>();
  nodeLabels: Labels = {};
  /** Of pods that have one. */
  controller: Application | undefined;
  /** By namespace and name. */
  readonly ipamClaims = new Map<string, readonly string[]>();
  readonly namespaces = new Map<string, MemoryNamespace>();
  readonly records = new Map<string, AttachmentRecord>();
  /** Links of the node that were made for pods to share. */
  readonly sharedLinks = new Set<string>();
  /** Devices of the node, by PCI address: which sandbox has one, and what its PF was told. */
  readonly devices = new Map<string, MemoryDevice>();
  /** Of the PF behind every VF. */
  masterAddresses: readonly string[] = [];
  /** What ties interfaces to the node, by namespace. */
  readonly ties = new Set<string>();
  readonly coordinators = new Map<string, SpiderCoordinator>();
  /** Hosts that nobody has claims for: their MACs, by address. */
  readonly strangers = new Map<string, string>();
  /** Every question so far. */
  readonly probed: { readonly target: string; readonly timing: ProbeTiming }[] = [];
  /** Why nobody can be asked through an interface, if so. */
  whyMute: string | undefined;
  /** Namespaces of which nobody can say whether they are gone. */
  readonly unproven = new Set<string>();
  /** Every port call so far. */
  readonly trace: string[] = [];
  readonly logged: { readonly level: string; readonly message: string; readonly fields: object }[] = [];
  /** What must never be true, and was: an interface that answers for an address that is not claimed for its sandbox. */
  readonly violations: string[] = [];
  /** Called around every port call; what it throws is what the call ends with. */
  onMoment: ((moment: Moment) => void) | undefined;
  /** Awaited after every port call, when it has taken effect: lets a test act meanwhile. */
  holdAfter: ((call: string) => Promise<void>) | undefined;
  cluster = readClusterSettings({}, []);
  /** What the owners of sticky addresses say; nothing: that they want them. */
  readonly identities = new Map<string, IdentityState>();
  claimsBefore = 0;
  nowMs = 1_790_000_000_000;
  /** How long steps have waited, in milliseconds: nobody has to wait with them. */
  waitedMs = 0;

  /** Worlds that share `api` are nodes of one cluster. */
  constructor(shared: { readonly api?: MemoryClaims; readonly node?: NodeIdentity } = {}) {
    this.api = shared.api ?? new MemoryClaims();
    this.node = shared.node ?? node;
  }

  /** Starts a worker on this node. */
  async start(): Promise<NodeProcess> {
    const process = new NodeProcess(this);
    await process.claims.loadOwn();
    return process;
  }

  /** What an operator would find: claims, links with their addresses, and records, sorted. */
  get holds(): readonly string[] {
    const claims = this.api.all().map(({ metadata, spec }) => {
      const [holder] = spec.holders;
      return `claim ${metadata.name} ${spec.phase}${spec.phase === 'Bound' ? ` ${holder?.containerID}` : ''}`;
    });
    const links = [...this.namespaces].flatMap(([path, { links }]) =>
      [...links].map(
        ([ifName, { owner, addresses }]) =>
          `link ${path} ${ifName} of ${owner} with ${[...addresses].sort().join(' ')}`,
      ),
    );
    const records = [...this.records].map(
      ([key, { doneResult }]) => `record ${key}${doneResult === undefined ? '' : ' done'}`,
    );
    const shared = [...this.sharedLinks].map((name) => `shared ${name}`);
    const devices = [...this.devices].flatMap(([address, { owner, settings }]) =>
      owner === '' && Object.keys(settings).length === 0
        ? []
        : [`device ${address} of ${owner} ${JSON.stringify(settings)}`],
    );
    const ties = [...this.ties].map((tie) => `tie ${tie}`);
    return [...claims, ...links, ...records, ...shared, ...devices, ...ties].sort();
  }

  /** Writes a claim as another worker, or an earlier life of this one, left it. */
  async putClaim(
    name: string,
    phase: ClaimPhase,
    holder: ClaimHolder,
    {
      pool = 'v4',
      prefix = 24,
      kept = phase === 'Held',
      ...more
    }: Partial<Pick<IPClaimSpec, 'pool' | 'kept' | 'identity' | 'unproven' | 'until'>> & {
      readonly prefix?: number;
    } = {},
  ): Promise<void> {
    const spec: IPClaimSpec = {
      address: `${name}/${prefix}`,
      pool,
      phase,
      holders: [holder],
      ...(kept ? { kept } : {}),
      ...more,
    };
    await this.api.request({
      method: 'POST',
      path: '/apis/orbweaver.io/v1alpha1/ipclaims',
      timeoutMs: 1000,
      body: {
        apiVersion: 'orbweaver.io/v1alpha1',
        kind: 'IPClaim',
        metadata: { name, labels: claimLabels(spec) },
        spec,
      },
    });
  }

  namespaceOf(path: string, cookie?: string): MemoryNamespace | undefined {
    const found = this.namespaces.get(path);
    return cookie === undefined || found?.cookie === cookie ? found : undefined;
  }

  checkInvariants(after: string): void {
    for (const { links } of this.namespaces.values()) {
      for (const { owner, addresses } of links.values()) {
        for (const address of owner === '' ? [] : addresses) {
          const claim = this.api.all().find(({ spec }) => spec.address === address);
          const isHeld =
            claim?.spec.phase === 'Bound' && claim.spec.holders.some(({ containerID }) => containerID === owner);
          if (!isHeld) this.violations.push(`${address} answers for ${owner} without its claim, after ${after}`);
        }
      }
    }
  }
}

/** One life of the node worker over a world: what it remembers dies with it, what it wrote stays. */
export class NodeProcess {
  readonly calls: OpenCalls;
  readonly locks = new SandboxLocks();
  readonly claims: ClaimStore;
  readonly ports: NodePorts;
  readonly steps: NodeActivities;
  readonly activities: NodeActivities;
  readonly #world: NodeWorld;
  #isKilled = false;

  constructor(world: NodeWorld) {
    this.#world = world;
    this.calls = new OpenCalls();
    const api: ApiClient = {
      request: async (request) => {
        this.#requireAlive(); // whatever waits inside the store is not sent any more
        return await world.api.request(request);
      },
      watch: () => world.api.watch(),
      close: () => world.api.close(),
    };
    this.claims = new ClaimStore({ api, node: world.node.name, log: silent, now: () => (world.nowMs += 1) });
    this.ports = this.#instrumented();
    this.steps = createNodeSteps(this.ports);
    this.activities = createNodeActivities(this.steps, this.locks, this.calls);
  }

  /** From now on nothing that this process does takes effect. */
  kill(): void {
    this.#isKilled = true;
  }

  /** As `kill`, in the middle of a port call: before it took effect, or before its answer came. */
  die(): never {
    this.kill();
    throw new Error('killed');
  }

  #instrumented(): NodePorts {
    const world = this.#world;
    const { claims, calls } = this;
    const log = logInto(world);
    return {
      calls,
      node: world.node,
      log,
      clock: {
        now: () => world.waitedMs,
        sleep: async (ms) => void (world.waitedMs += ms),
      },
      records: this.#port<AttachmentRecords>('records', memoryRecords(world)),
      pods: this.#port<PodReader>('pods', {
        async find({ namespace, name, uid }) {
          const pod = world.pods.get(`${namespace}/${name}`);
          const bare = { namespace, name, labels: {}, ownerReferences: [] };
          return pod !== undefined && (uid === '' || uid === pod.uid) ? { ...bare, ...pod } : undefined;
        },
      }),
      pools: this.#port<PoolReader>('pools', {
        recent: async () => readPoolCatalogue([...world.pools.values()], world.reservations),
        fresh: async (name) => readPoolCatalogue([...world.pools.values()], world.reservations).pools.get(name),
      }),
      surroundings: this.#port<Surroundings>('surroundings', {
        namespace: async (name) => ({ labels: {}, annotations: {}, ...world.namespaceMarks.get(name) }),
        nodeLabels: async () => world.nodeLabels,
        controllerOf: async ({ namespace, name, uid }) =>
          world.controller ?? { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
        ipamClaimIPs: async (namespace, name) => world.ipamClaims.get(`${namespace}/${name}`) ?? [],
      }),
      coordinators: this.#port<Coordinators>('coordinators', {
        recent: async (name) => world.coordinators.get(name),
      }),
      cluster: world.cluster,
      kernel: this.#port<NodePorts['kernel']>('kernel', memoryKernel(world)),
      identities: this.#port<Identities>('identities', {
        states: async (texts) =>
          new Map(texts.map((text) => [text, world.identities.get(text) ?? { state: 'wanted' }])),
      }),
      claims: {
        ownOf: (podUID, ifName) => claims.ownOf(podUID, ifName),
        identitiesOf: (held) => claims.identitiesOf(held),
        recallTaken: (pool) => claims.recallTaken(pool),
        ...this.#port<Omit<ClaimPort, 'ownOf' | 'identitiesOf' | 'recallTaken'>>('claims', {
          keptFor: (...of) => claims.keptFor(...of),
          take: (want) => claims.take(want),
          readWhole: (name) => claims.readWhole(name),
          adopt: (seen, taker) => claims.adopt(seen, taker),
          release: (want) => claims.release(want),
          setConflicted: (name, want) => claims.setConflicted(name, want),
          giveBack: (name, containerID) => claims.giveBack(name, containerID),
          releaseHeld: (name, podUID) => claims.releaseHeld(name, podUID),
          takenNames: (pool, want) => claims.takenNames(pool, want),
        }),
      },
    };
  }

  #port<Port extends object>(name: string, port: Port): Port {
    const world = this.#world;
    const wrapped = Object.entries(port as Record<string, (...args: unknown[]) => Promise<unknown>>).map(
      ([method, work]) => [
        method,
        async (...args: unknown[]) => {
          this.#requireAlive();
          const call = `${name}.${method}`;
          const moment = world.trace.push(call) - 1;
          world.onMoment?.({ call, at: 'before', moment });
          const result = await work(...args);
          this.#requireAlive();
          world.checkInvariants(call);
          await world.holdAfter?.(call);
          world.onMoment?.({ call, at: 'after', moment });
          return result;
        },
      ],
    );
    return Object.fromEntries(wrapped) as Port;
  }

  #requireAlive(): void {
    if (this.#isKilled) throw new Error('killed');
  }
}

export const recordKey = (attachment: Attachment): string => `${attachment.containerID} ${attachmentKey(attachment)}`;

export const memoryRecords = (world: Pick<NodeWorld, 'records'>): AttachmentRecords => ({
  read: async (attachment) => world.records.get(recordKey(attachment)),
  async write(record) {
    world.records.set(recordKey(record.attachment), structuredClone(record));
  },
  async remove(attachment) {
    world.records.delete(recordKey(attachment));
  },
  list: async (containerID) =>
    [...world.records.values()].filter(
      ({ attachment }) => containerID === undefined || attachment.containerID === containerID,
    ),
});

const tieOf = (netns: string, operation: CoordinationOperation): string => `${netns} ${JSON.stringify(operation)}`;

const tiesOf = (ifName: string, { podMACPrefix }: CoordinationSettings): readonly CoordinationOperation[] => [
  { op: 'add-address', ifName: 'veth0', address: `of ${ifName}` },
  ...(podMACPrefix === undefined
    ? []
    : [{ op: 'set-mac', ifName, mac: `${podMACPrefix}:00:00:00:01`, was: '02:00:00:00:00:01' } as const]),
];

const memoryKernel = (world: NodeWorld): Kernel => ({
  async plumb({ containerID, ifName, netns, netnsCookie, link, addresses }) {
    const namespace = world.namespaceOf(netns, netnsCookie);
    if (link.master.includes('.') && !world.sharedLinks.has(link.master))
      throw new ProvisionError({ type: 'ParentLinkMissing', message: `The node has no link ${link.master}` });
    if (namespace === undefined)
      throw new ProvisionError({ type: 'InvalidNamespace', message: `${netns} is not the sandbox's any more` });
    const existing = namespace.links.get(ifName);
    if (existing !== undefined && existing.owner !== containerID) {
      throw new ProvisionError({
        type: 'InterfaceExists',
        message: `Cannot make ${ifName}: the sandbox has an interface of that name`,
      });
    }
    namespace.links.set(ifName, { owner: containerID, addresses: new Set(addresses.map(({ address }) => address)) });
    return { mac: '02:00:00:00:00:01', mtuBytes: 1500, commands: [`ip link add ${ifName} type macvlan`] };
  },
  async unplumb({ containerID, ifName, netns, netnsCookie }) {
    const links = world.namespaceOf(netns, netnsCookie)?.links;
    if (links?.get(ifName)?.owner !== containerID) return { removed: false, commands: [] };
    links.delete(ifName);
    return { removed: true, commands: [`ip link del ${ifName}`] };
  },
  async masterAddresses(spec) {
    return 'pciAddress' in spec
      ? { outcome: 'found', addresses: world.masterAddresses }
      : { outcome: 'unknown', why: 'eth9 has no PF' };
  },
  async examineDevice(conf) {
    const pciAddress = conf.kind === 'host-device' ? '' : conf.pciAddress;
    const device = world.devices.get(pciAddress);
    if (device === undefined || device.owner !== '') {
      throw new ProvisionError({ type: 'DeviceUnfit', message: `The node has no device ${pciAddress} to lend` });
    }
    const link = { ifName: 'enp1s0v0', mac: '02:00:00:00:00:10', mtuBytes: 1500, isUp: false, alias: '' };
    if (conf.kind === 'rdma') return { pciAddress, driver: 'igbvf', rdmaDevices: ['rdma0'] };
    return { pciAddress, driver: 'igbvf', link, settings: device.settings };
  },
  async lendDevice({ containerID, ifName, netns, netnsCookie, device, lease, addresses }) {
    const namespace = world.namespaceOf(netns, netnsCookie);
    if (namespace === undefined)
      throw new ProvisionError({ type: 'InvalidNamespace', message: `${netns} is not the sandbox's any more` });
    const { pciAddress = '' } = lease;
    const owner = world.devices.get(pciAddress)?.owner ?? '';
    if (owner !== '' && owner !== containerID)
      world.violations.push(`${pciAddress} of ${owner} lent to ${containerID}`);
    world.devices.set(pciAddress, { owner: containerID, settings: device.kind === 'sriov' ? device.settings : {} });
    if (device.kind !== 'rdma')
      namespace.links.set(ifName, { owner: containerID, addresses: new Set(addresses.map(({ address }) => address)) });
    return { outcome: 'lent', mac: '02:00:00:00:00:10', mtuBytes: 1500, hasCarrier: true, commands: ['ip link set'] };
  },
  async returnDevice({ containerID, ifName, netns, netnsCookie, lease }) {
    const { pciAddress = '', settings = {} } = lease;
    const owner = world.devices.get(pciAddress)?.owner ?? '';
    if (owner !== '' && owner !== containerID) world.violations.push(`${containerID} took ${pciAddress} from ${owner}`);
    world.devices.set(pciAddress, { owner: '', settings });
    const links = world.namespaceOf(netns, netnsCookie)?.links;
    if (links?.get(ifName)?.owner === containerID) links.delete(ifName);
    return { outcome: 'returned', commands: [] };
  },
  async prepareShared(wanted) {
    const missing = wanted.filter(({ name }) => !world.sharedLinks.has(name));
    for (const { name } of missing) world.sharedLinks.add(name);
    return missing.map(({ name, kind }) => `ip link add ${name} type ${kind}`);
  },
  async removeShared(names) {
    const removed = names.filter((name) => world.sharedLinks.delete(name));
    return { commands: removed.map((name) => `ip link del ${name}`), kept: [] };
  },
  async planCoordination({ ifName, netns, netnsCookie, settings }) {
    const link = world.namespaceOf(netns, netnsCookie)?.links.get(ifName);
    if (link === undefined)
      throw new ProvisionError({ type: 'InvalidConfig', message: `Cannot tie "${ifName}": no such interface` });
    const operations = tiesOf(ifName, settings).filter((operation) => !world.ties.has(tieOf(netns, operation)));
    const addresses = [...link.addresses];
    return { mode: 'underlay', table: 101, addresses, operations, commands: operations.map(({ op }) => op), notes: [] };
  },
  async applyCoordination({ netns, netnsCookie, operations }) {
    if (world.namespaceOf(netns, netnsCookie) === undefined)
      throw new ProvisionError({ type: 'InvalidNamespace', message: `${netns} is not the sandbox's any more` });
    for (const operation of operations) world.ties.add(tieOf(netns, operation));
  },
  async uncoordinate({ netns, operations }) {
    const undone = operations.filter((operation) => world.ties.delete(tieOf(netns, operation)));
    return { commands: undone.map(({ op }) => op) };
  },
  async untie({ ifName, netns, isLast }) {
    const isOfIt = (tie: string): boolean => tie.startsWith(`${netns} `) && (isLast || tie.includes(`of ${ifName}`));
    const undone = [...world.ties].filter(isOfIt);
    for (const tie of undone) world.ties.delete(tie);
    return { commands: undone };
  },
  async removeAddresses({ netns, netnsCookie, addresses }) {
    const host = (address: string): string => address.replace(/\/.*/, '');
    const unwanted = new Set(addresses.map(host));
    for (const link of world.namespaceOf(netns, netnsCookie)?.links.values() ?? []) {
      for (const address of link.addresses) if (unwanted.has(host(address))) link.addresses.delete(address);
    }
  },
  async announce() {},
  async probe({ netns, netnsCookie, ifName, target, timing }) {
    world.probed.push({ target, timing });
    if (world.whyMute !== undefined) return { outcome: 'mute', why: world.whyMute };
    if (world.namespaceOf(netns, netnsCookie)?.links.has(ifName) !== true)
      return { outcome: 'mute', why: `the sandbox has no interface "${ifName}" yet` };
    const mac = world.strangers.get(target);
    return mac === undefined ? { outcome: 'silent' } : { outcome: 'answered', mac };
  },
  async namespaceState(netns, cookie) {
    if (world.unproven.has(netns)) return 'unproven';
    return world.namespaceOf(netns, cookie) === undefined ? 'gone' : 'alive';
  },
});

function logInto({ logged }: NodeWorld): Log {
  const at = (level: string) => (fields: object, message: string) => void logged.push({ level, message, fields });
  const log: Log = { child: () => log, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return log;
}

export const silent: Log = { child: () => silent, debug() {}, info() {}, warn() {}, error() {} };
