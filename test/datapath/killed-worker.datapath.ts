/** A worker that is killed after any effect of a pod's attachments: its successor completes them, or nothing is left. */
import { execFileSync, spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { pools, rail, underlay } from '../killed-worker/attachments.ts';
import { WorkerDeaths } from '../killed-worker/worker-deaths.ts';
import { loadSeed, SeededRandom } from '../load/seeded-random.ts';
import { insistOnGuest, lacks, loadModules } from './guest-machine.ts';
import { addRdmaDevice, ownNamespace, rdmaDevices, setRdmaMode } from './rdma-devices.ts';
import { inHost, ip, nameOf } from './two-nodes.ts';
import { createVirtualFunctions, linkOf, physicalFunctions, removeVirtualFunctions } from './virtual-functions.ts';

const timeout = 3_600_000; // some 10 s for each death on an emulated processor, and KILLS=all has all of them
const [node, pod, outside] = ['/run/netns/node', '/run/netns/pod', '/run/netns/outside'];
const hasRdma = lacks('rdma_rxe') === false;

describe('a worker that dies after an effect of an attachment', () => {
  let deaths: WorkerDeaths;
  const leftovers = new AsyncDisposableStack();

  before(
    async () => {
      const vf = await layNode(leftovers);
      deaths = new WorkerDeaths({
        node,
        pod,
        pools,
        directory: '/run/killed-worker',
        interfaces: {
          eth0: underlay(['port1', 'port2'], {
            bond: { name: 'bond0', mode: 1, options: 'miimon=100' },
            vlanID: 120,
          }),
          net1: rail(vf, hasRdma),
        },
        alsoSeen: async () => [
          ...(await rdmaDevices(ownNamespace)).map((name) => `RDMA ${name} on the node`),
          ...(await rdmaDevices(pod)).map((name) => `RDMA ${name} in the pod`),
        ],
      });
      leftovers.defer(() => deaths.close());
      await deaths.rehearse();
    },
    { timeout },
  );
  after(() => leftovers.disposeAsync());

  it('leaves what its successor makes whole, or takes away: a bond, its VLAN, a VF with its RDMA device', {
    timeout,
  }, async () => {
    const { KILLS: kills = '5' } = process.env;
    for (const death of deaths.choose(kills, new SeededRandom(loadSeed))) {
      const begun = performance.now();
      await deaths.judge(death);
      console.log(`  ${death.title}: ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    }
  });
});

/** The guest itself is the node: only there are its VFs. Its two ports lead to a switch outside. Gives the VF's address. */
async function layNode(leftovers: AsyncDisposableStack): Promise<string> {
  insistOnGuest();
  execFileSync('modprobe', ['bonding', 'max_bonds=0']); // else it makes a bond0 of its own when it is first needed
  if (hasRdma) {
    loadModules('rdma_rxe', 'rdma_ucm', 'ib_uverbs');
    leftovers.defer(() => setRdmaMode('shared'));
    await setRdmaMode('exclusive');
  }
  for (const netns of [node, outside]) leftovers.defer(() => void spawnSync('ip', ['netns', 'del', nameOf(netns)]));
  execFileSync('ip', ['netns', 'attach', nameOf(node), '1']);
  execFileSync('ip', ['netns', 'add', nameOf(outside)]);
  ip(outside, 'link add lan type bridge mcast_snooping 0', 'link set lan up');
  for (const port of ['port1', 'port2']) {
    inHost(`link add ${port} type veth peer name ${port} netns ${nameOf(outside)}`, `link set ${port} up`);
    ip(outside, `link set ${port} up master lan`);
  }
  inHost(`link set ${linkOf(physicalFunctions.node)} up`);
  leftovers.defer(() => removeVirtualFunctions(physicalFunctions.node));
  const [vf] = await createVirtualFunctions(physicalFunctions.node, 1);
  if (vf === undefined) throw new Error('The NIC made no VF');
  if (hasRdma) addRdmaDevice(ownNamespace, 'rxe', 'rdma0', vf.link);
  return vf.pci;
}
