/**
 * Our messages about VFs and RDMA devices beside those of ip(8) and rdma(8), on a kernel that has both. With GOLDEN=1 the kernel's
 * answers are kept for the unit tests: `run-in-guest.ts --env GOLDEN --share FOLDER -- node --test test/datapath/device-bytes.datapath.ts`, then
 * FOLDER/device-guest.json belongs into kernel/testdata/.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { NETLINK_RDMA } from '../../kernel/netlink-constants.ts';
import type { NetlinkSocket } from '../../kernel/netlink-socket.ts';
import { closing, openNodeNamespace } from '../../kernel/network-namespace.ts';
import { encodeMessage, type NetlinkMessage } from '../../kernel/nlmsg.ts';
import {
  dumpRdmaDevices,
  dumpRdmaPorts,
  getRdmaMode,
  moveRdmaDevice,
  readRdmaDevice,
} from '../../kernel/rdma-message.ts';
import { systemCalls } from '../../kernel/system-calls.ts';
import type { GuestCapture } from '../../kernel/testing/device-capture.ts';
import { asSent, lastRequest, traced } from '../../kernel/testing/iproute2-capture.ts';
import { getPf } from '../../kernel/vf-message.ts';
import { lacks, loadModules } from './guest-machine.ts';
import { addRdmaDevice, ownNamespace, setRdmaMode } from './rdma-devices.ts';
import { inHost, nameOf, TwoNodes } from './two-nodes.ts';
import { createVirtualFunctions, linkOf, physicalFunctions, removeVirtualFunctions } from './virtual-functions.ts';

const { node } = physicalFunctions;
const asHex = (messages: readonly NetlinkMessage[]): string[] =>
  messages.map((message) => encodeMessage(message, 0).toString('hex'));
const ask = <Result>(protocol: number | undefined, work: (socket: NetlinkSocket) => Result): Result =>
  closing(openNodeNamespace(systemCalls, undefined), (namespace) => closing(namespace.netlink(protocol), work));
const indexOf = (name: string): number => Number(/^(\d+):/.exec(inHost(`link show dev ${name}`))?.[1]);

describe('the bytes about devices', { skip: lacks('rdma_rxe') }, () => {
  let nodes: TwoNodes;
  before(async () => {
    loadModules('rdma_rxe', 'ib_uverbs');
    await setRdmaMode('exclusive');
    nodes = new TwoNodes();
  });
  after(async () => {
    nodes[Symbol.dispose]();
    removeVirtualFunctions(node);
    await setRdmaMode('shared');
  });

  it('are those of rdma(8), and the answers are kept', async () => {
    const pf = linkOf(node) ?? assert.fail('no PF');
    inHost(`link set ${pf} up`);
    const [first] = await createVirtualFunctions(node, 2);
    const of = `link set ${pf} vf 1`;
    inHost(`${of} mac 02:00:00:00:00:09 vlan 100 qos 5 max_tx_rate 200 spoofchk off trust on`);
    addRdmaDevice(ownNamespace, 'rxe', 'rdma0', first?.link ?? '');
    const pod = nodes.pod();
    const capture = ask(NETLINK_RDMA, (socket): GuestCapture['rdma'] => {
      const devices = socket.dump('GET', dumpRdmaDevices());
      const deviceIndex = devices.map(readRdmaDevice).find(({ name }) => name === 'rdma0')?.index ?? 0;
      return {
        mode: asHex([socket.get('SYS_GET', getRdmaMode())]),
        devices: asHex(devices),
        ports: asHex(socket.dump('PORT_GET', dumpRdmaPorts(deviceIndex))),
        deviceIndex,
        linkIndex: indexOf(first?.link ?? ''),
        ...moved(pod),
      };
    });
    const { deviceIndex, netnsFd, move } = capture;
    assert.equal(asSent(moveRdmaDevice(deviceIndex, netnsFd)), move);
    const answer = ask(undefined, (socket) => socket.get('RTM_GETLINK', getPf(indexOf(pf))));
    const whole: GuestCapture = { pf: asHex([answer]), rdma: capture };
    if (process.env['GOLDEN'] === '1') {
      writeFileSync('/run/share/device-guest.json', `${JSON.stringify(whole, undefined, 2)}\n`);
    }
  });

  /** What rdma(8) sends to move the device; the descriptor is the last of its two numbers. */
  function moved(pod: string): { move: string; netnsFd: number } {
    const { type } = moveRdmaDevice(0, 0);
    const request = lastRequest(traced(['dev', 'set', 'rdma0', 'netns', nameOf(pod)], 'rdma').sent, type);
    return { move: request.toString('hex'), netnsFd: request.readUInt32LE(request.length - 4) };
  }
});
