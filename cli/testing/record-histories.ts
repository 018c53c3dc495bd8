import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { type Attachment, podNetworkId, updateId } from '../../contracts/attachment.ts';
import { toCniResult } from '../../contracts/cni-result.ts';
import type { FailureType } from '../../contracts/failures.ts';
import type { NodeActivities } from '../../contracts/node-activities.ts';
import {
  type AddRequest,
  type ClaimedAddress,
  type DetachRequest,
  podNetworkMessages,
} from '../../contracts/pod-network.ts';
import { toApplicationFailure } from '../../temporal-config/failure-conversion.ts';
import { nodeNamespace, nodeQueue } from '../../temporal-config/queues.ts';
import { podNetworkTimeouts } from '../../temporal-config/timeouts.ts';
import { writeHistory } from './history-file.ts';

/**
 * Records the histories that the tests of `orb explain` read: the real workflow on a real server, with steps that do nothing
 * or fail as told. Run it after a change of the workflow, then `GOLDEN=1` the tests and review the difference:
 *
 *     node cli/testing/record-histories.ts --temporal-address 127.0.0.1:7233
 */
const { values } = parseArgs({ options: { 'temporal-address': { type: 'string', default: '127.0.0.1:7233' } } });
const node = 'r7-n1';

type Fault = { readonly step: keyof NodeActivities; readonly error: () => Error };
interface Scenario {
  readonly name: string;
  readonly pod: string;
  readonly faults?: readonly Fault[];
  readonly pools?: readonly ClaimedAddress[];
  /** Nobody polls the queue of this pod's node. */
  readonly hasNoWorker?: boolean;
  /** What happens after the first ADD. */
  readonly afterwards?: (run: Run) => Promise<void>;
}
interface Run {
  readonly handle: WorkflowHandle;
  readonly add: (ifName: string) => Promise<unknown>;
  readonly detach: (ifName: string) => Promise<unknown>;
}

const v4 = (address: string): ClaimedAddress => ({
  family: 4,
  address,
  pool: 'rack7-v4',
  gateway: '10.70.8.1',
  routes: [{ dst: '0.0.0.0/0', gw: '10.70.8.1' }],
});
const v6: ClaimedAddress = {
  family: 6,
  address: 'fd00:70:8::14/64',
  pool: 'rack7-v6',
  gateway: 'fd00:70:8::1',
  routes: [],
};
const ours = (type: FailureType, message: string, remedy?: string) => () =>
  toApplicationFailure({ type, message, ...(remedy === undefined ? {} : { remedy }) });

const exhausted = ours(
  'PoolExhausted',
  'Cannot claim an IPv4 address from pool "rack7-v4": all 71 are in use',
  'Extend spec.ips of SpiderIPPool "rack7-v4", or see who holds them: orb pools rack7-v4',
);
const refused = ours(
  'KernelRefused',
  'Cannot create macvlan eth0 on eno1: EBUSY, Device is already a bridge port',
  'See who uses it: ip -d link show eno1',
);
const gone = ours(
  'InterfaceExists',
  'Cannot remove eth0: EBUSY',
  'See what holds it: ip -d link show; then delete the pod again',
);

const scenarios: readonly Scenario[] = [
  { name: 'attached', pod: 'api-0' },
  { name: 'dual-stack', pod: 'api-1', pools: [v4('10.70.8.21/22'), v6] },
  { name: 'exhausted', pod: 'api-2', faults: [{ step: 'claimAddresses', error: exhausted }] },
  {
    name: 'undo-repeated',
    pod: 'api-3',
    faults: [
      { step: 'plumbLink', error: refused },
      ...Array.from(
        { length: 5 },
        (): Fault => ({ step: 'removeLink', error: () => new Error('netlink socket closed') }),
      ),
    ],
  },
  {
    name: 'unwind-stuck',
    pod: 'api-4',
    faults: [
      { step: 'plumbLink', error: refused },
      { step: 'removeLink', error: gone },
    ],
  },
  {
    name: 'released',
    pod: 'api-5',
    afterwards: async ({ handle, add, detach }) => {
      await add('net1');
      await detach('net1');
      await detach('eth0');
      await handle.result();
    },
  },
  {
    name: 'second-interface-failed',
    pod: 'api-6',
    afterwards: async ({ add }) => {
      failing.set('api-6', [{ step: 'claimAddresses', error: exhausted }]);
      await add('net1').catch(() => undefined);
    },
  },
  { name: 'no-worker', pod: 'api-8', hasNoWorker: true },
  {
    name: 'terminated',
    pod: 'api-7',
    afterwards: async ({ handle }) => {
      await handle.terminate('its DEL was done by records and marks');
    },
  },
];

/** Faults that are still to happen, by pod; each happens once. */
const failing = new Map<string, Fault[]>();
const pools = new Map<string, readonly ClaimedAddress[]>();
const answered = new Map<string, () => void>();

function fault(pod: string, step: keyof NodeActivities): void {
  const faults = failing.get(pod) ?? [];
  const due = faults.findIndex((one) => one.step === step);
  if (due === -1) return;
  const [happening] = faults.splice(due, 1);
  throw happening?.error();
}

const activities: NodeActivities = {
  async prepareLinks({ pod }) {
    fault(pod.name, 'prepareLinks');
  },
  async claimAddresses({ pod }) {
    fault(pod.name, 'claimAddresses');
    return pools.get(pod.name) ?? [v4('10.70.8.20/22')];
  },
  async plumbLink({ pod, attachment, netns, nonce }, addresses) {
    fault(pod.name, 'plumbLink');
    answered.get(nonce)?.();
    return toCniResult(addresses, { name: attachment.ifName, mac: '0e:5b:00:00:00:14', mtu: 1500, sandbox: netns });
  },
  async lendRdma({ pod, nonce }) {
    fault(pod.name, 'lendRdma');
    answered.get(nonce)?.();
  },
  async coordinate({ pod, nonce }, made) {
    fault(pod.name, 'coordinate');
    answered.get(nonce)?.();
    return made;
  },
  async removeLink({ pod }) {
    fault(pod.name, 'removeLink');
  },
  async releaseAddresses({ pod }) {
    fault(pod.name, 'releaseAddresses');
  },
  async answerFailure(nonce) {
    answered.get(nonce)?.();
  },
};

let nonces = 0;
const nextNonce = (): string => (nonces += 1).toString(16).padStart(32, '0');

function addRequest(pod: string, ifName: string): AddRequest {
  const containerID = `5b1d${pod.replace(/\D/g, '').padStart(60, '0')}`;
  return {
    attachment: { containerID, network: ifName === 'eth0' ? 'vlan70' : 'vlan71', ifName, kind: 'attach' },
    pod: { namespace: 'pay', name: pod, uid: `9c1f0000-0000-4000-8000-${pod.replace(/\D/g, '').padStart(12, '0')}` },
    node,
    netns: `/run/netns/cni-${pod}`,
    netnsCookie: '4711',
    nonce: nextNonce(),
    arrivedAtMs: Date.now(),
    network: {
      provides: 'interface',
      link: { kind: 'macvlan', master: 'eno1', mode: 'bridge' },
      defaultIPv4Pools: ['rack7-v4'],
      defaultIPv6Pools: [],
      cleanGateway: false,
    },
  };
}

async function record(client: Client, scenario: Scenario): Promise<void> {
  failing.set(scenario.pod, [...(scenario.faults ?? [])]);
  if (scenario.pools !== undefined) pools.set(scenario.pod, scenario.pools);
  const first = addRequest(scenario.pod, 'eth0');
  const queue = nodeQueue(scenario.hasNoWorker === true ? 'r7-n9' : node);
  const answer = new Promise<void>((resolve) => answered.set(first.nonce, resolve));
  const handle = await client.workflow.start(podNetworkMessages.workflow, {
    workflowId: podNetworkId(first.pod, first.attachment.containerID),
    taskQueue: queue,
    args: [first],
    workflowTaskTimeout: podNetworkTimeouts.workflowTaskTimeout,
    staticSummary: `pay/${scenario.pod} on ${node}`,
    searchAttributes: {
      NodeName: [node],
      PodNamespace: ['pay'],
      PodName: [scenario.pod],
      PodUID: [first.pod.uid],
      NetPhase: ['Attaching'],
    },
  });
  // The answer leaves before its record: a query waits for the record.
  const recorded = async () => await handle.query(podNetworkMessages.describe);
  if (scenario.hasNoWorker === true) {
    await writeHistory(scenario.name, await handle.fetchHistory());
    return;
  }
  await answer;
  await recorded();
  const update = async (name: 'add' | 'detach', request: AddRequest | DetachRequest) =>
    await handle.executeUpdate(podNetworkMessages[name], {
      args: [request],
      updateId: updateId(name, request.attachment, request.nonce),
    });
  await scenario.afterwards?.({
    handle,
    add: async (ifName) => await update('add', addRequest(scenario.pod, ifName)),
    detach: async (ifName) => {
      const { attachment, pod, netns } = addRequest(scenario.pod, ifName);
      return await update('detach', {
        attachment: attachment satisfies Attachment,
        pod,
        netns,
        nonce: nextNonce(),
        reason: 'detach',
      });
    },
  });
  await recorded();
  await writeHistory(scenario.name, await handle.fetchHistory());
}

const connection = await NativeConnection.connect({ address: values['temporal-address'] });
const worker = await Worker.create({
  connection,
  namespace: nodeNamespace,
  taskQueue: nodeQueue(node),
  workflowsPath: join(import.meta.dirname, '../../workflows/index.ts'),
  activities,
});
await worker.runUntil(async () => {
  const client = new Client({ connection, namespace: nodeNamespace });
  for (const scenario of scenarios) {
    await record(client, scenario);
    console.log(`recorded ${scenario.name}`);
  }
});
await connection.close();
