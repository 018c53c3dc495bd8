/** Our messages about RDMA devices beside those of rdma(8), and what we read of its answers, on a kernel that has RDMA. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { NETLINK_RDMA } from '../../kernel/netlink-constants.ts';
import { closing, openNodeNamespace } from '../../kernel/network-namespace.ts';
import {
  dumpRdmaDevices,
  dumpRdmaPorts,
  getRdmaMode,
  moveRdmaDevice,
  readPortLink,
  readRdmaDevice,
  readRdmaMode,
} from '../../kernel/rdma-message.ts';
import { systemCalls } from '../../kernel/system-calls.ts';
import { asSent, lastRequest, traced } from '../../kernel/testing/netlink-capture.ts';
import { lacks, loadModules } from './guest-machine.ts';
import { addRdmaDevice, ownNamespace, setRdmaMode } from './rdma-devices.ts';
import { inHost, nameOf, TwoNodes } from './two-nodes.ts';

describe('the bytes about RDMA devices', { skip: lacks('rdma_rxe') }, () => {
  let nodes: TwoNodes;
  before(async () => {
    loadModules('rdma_rxe', 'ib_uverbs');
    await setRdmaMode('exclusive');
    nodes = new TwoNodes();
    inHost('link add probe0 type veth peer name probe1', 'link set probe0 up');
    addRdmaDevice(ownNamespace, 'rxe', 'rdma0', 'probe0');
  });
  after(async () => {
    nodes[Symbol.dispose]();
    inHost('link del probe0');
    await setRdmaMode('shared');
  });

  it('are those of rdma(8), and its answers read as what they are', () => {
    const linkIndex = Number(/^(\d+):/.exec(inHost('link show dev probe0'))?.[1]);
    const seen = closing(openNodeNamespace(systemCalls, undefined), (namespace) =>
      closing(namespace.netlink(NETLINK_RDMA), (socket) => {
        const devices = socket.dump('GET', dumpRdmaDevices()).map(readRdmaDevice);
        return {
          mode: readRdmaMode(socket.get('SYS_GET', getRdmaMode())),
          devices,
          links: socket.dump('PORT_GET', dumpRdmaPorts(devices[0]?.index ?? 0)).map(readPortLink),
        };
      }),
    );
    const [device] = seen.devices;
    assert.deepEqual(seen, { mode: 'exclusive', devices: [{ ...device, name: 'rdma0' }], links: [linkIndex] });

    const { type } = moveRdmaDevice(0, 0);
    const request = lastRequest(traced(['dev', 'set', 'rdma0', 'netns', nameOf(nodes.pod())], 'rdma').sent, type);
    const netnsFd = request.readUInt32LE(request.length - 4); // the second of its two numbers
    assert.equal(asSent(moveRdmaDevice(device?.index ?? 0, netnsFd)), request.toString('hex'));
  });
});
