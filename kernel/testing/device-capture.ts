import { noGuid } from '../../contracts/device.ts';
import { moveLink, setLinkName } from '../link-message.ts';
import { setVf } from '../vf-message.ts';
import { type CapturedCommands, onCaptureStage } from './netlink-capture.ts';

/** What the bytes depend on beyond the command. */
export interface DeviceFacts {
  readonly linkIndex: number;
  /** Descriptor under which ip held the pod's namespace. */
  readonly netnsFd: number;
}

export interface DeviceCapture {
  readonly facts: DeviceFacts;
  /** Messages that ip(8) sent, as hex with sequence number 0, by command. */
  readonly requests: Readonly<Record<string, string>>;
}

/** A link without VFs refuses the settings, after ip has sent the message. */
export const deviceCommands: CapturedCommands<DeviceFacts> = {
  'ip -n NODE link set dev eth1 vf 3 mac 02:00:00:00:00:09': ({ linkIndex }) =>
    setVf(linkIndex, 3, { mac: '02:00:00:00:00:09' }),
  'ip -n NODE link set dev eth1 vf 3 node_guid 02:00:00:00:00:00:00:2a': ({ linkIndex }) =>
    setVf(linkIndex, 3, { nodeGuid: '02:00:00:00:00:00:00:2a' }),
  'ip -n NODE link set dev eth1 vf 3 port_guid ff:ff:ff:ff:ff:ff:ff:ff': ({ linkIndex }) =>
    setVf(linkIndex, 3, { portGuid: noGuid }),
  'ip -n NODE link set dev eth1 vf 3 vlan 100': ({ linkIndex }) =>
    setVf(linkIndex, 3, { vlan: { id: 100, qos: 0, protocol: '802.1Q' } }),
  'ip -n NODE link set dev eth1 vf 3 vlan 100 qos 5': ({ linkIndex }) =>
    setVf(linkIndex, 3, { vlan: { id: 100, qos: 5, protocol: '802.1Q' } }),
  'ip -n NODE link set dev eth1 vf 3 vlan 100 qos 5 proto 802.1ad': ({ linkIndex }) =>
    setVf(linkIndex, 3, { vlan: { id: 100, qos: 5, protocol: '802.1ad' } }),
  'ip -n NODE link set dev eth1 vf 3 max_tx_rate 200 min_tx_rate 10': ({ linkIndex }) =>
    setVf(linkIndex, 3, { rate: { minMbps: 10, maxMbps: 200 } }),
  'ip -n NODE link set dev eth1 vf 3 spoofchk off': ({ linkIndex }) => setVf(linkIndex, 3, { spoofCheck: false }),
  'ip -n NODE link set dev eth1 vf 3 trust on': ({ linkIndex }) => setVf(linkIndex, 3, { trust: true }),
  'ip -n NODE link set dev eth1 vf 3 state auto': ({ linkIndex }) => setVf(linkIndex, 3, { linkState: 'auto' }),
  'ip -n NODE link set dev eth1 vf 3 state enable': ({ linkIndex }) => setVf(linkIndex, 3, { linkState: 'enable' }),
  'ip -n NODE link set dev eth1 vf 3 state disable': ({ linkIndex }) => setVf(linkIndex, 3, { linkState: 'disable' }),
  'ip -n NODE link set dev eth1 name eth9': ({ linkIndex }) => setLinkName(linkIndex, 'eth9'),
  'ip -n NODE link set dev eth9 netns POD name net1': ({ linkIndex, netnsFd }) => moveLink(linkIndex, netnsFd, 'net1'),
};

/** Keeps what went over the netlink socket of ip(8). Needs root. */
export const captureDevices = (): DeviceCapture =>
  onCaptureStage(({ ip, indexOf, requestsOf }) => {
    ip('ip -n NODE link add eth1 type veth peer name wire');
    const linkIndex = indexOf('NODE eth1');
    const requests = requestsOf(deviceCommands, { linkIndex: 0, netnsFd: 0 });
    const move = Buffer.from(Object.values(requests).at(-1) ?? '', 'hex');
    return { facts: { linkIndex, netnsFd: move.readUInt32LE(16 + 16 + 4) }, requests };
  });
