import { execFileSync, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { moveLink, setLinkName } from '../link-message.ts';
import type { NetlinkRequest } from '../nlmsg.ts';
import { setVf } from '../vf-message.ts';
import { lastRequest, traced } from './iproute2-capture.ts';

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

/** Each command with our message for it. A link without VFs refuses the settings, after ip has sent the message. */
export const deviceCommands: Readonly<Record<string, (facts: DeviceFacts) => NetlinkRequest>> = {
  'ip -n NODE link set dev eth1 vf 3 mac 02:00:00:00:00:09': ({ linkIndex }) =>
    setVf(linkIndex, 3, { mac: '02:00:00:00:00:09' }),
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

/** Runs ip(8) under strace in two fresh namespaces and keeps what went over its netlink socket. Needs root. */
export function captureDevices(): DeviceCapture {
  const id = randomUUID().slice(0, 8);
  const names = { NODE: `ow-cap-${id}-n`, POD: `ow-cap-${id}-p` };
  const real = (command: string): string[] =>
    command.replace('NODE', names.NODE).replace('POD', names.POD).split(' ').slice(1);
  const ip = (command: string): string => execFileSync('ip', real(command), { encoding: 'utf8' });
  try {
    for (const name of Object.values(names)) ip(`ip netns add ${name}`);
    ip('ip -n NODE link add eth1 type veth peer name wire');
    const shown = JSON.parse(ip('ip -n NODE -j link show dev eth1')) as { ifindex: number }[];
    const requests: Record<string, string> = {};
    for (const [command, encode] of Object.entries(deviceCommands)) {
      const { type } = encode({ linkIndex: 0, netnsFd: 0 });
      requests[command] = lastRequest(traced(real(command)).sent, type).toString('hex');
    }
    const move = Buffer.from(Object.values(requests).at(-1) ?? '', 'hex');
    const facts = { linkIndex: shown[0]?.ifindex ?? 0, netnsFd: move.readUInt32LE(16 + 16 + 4) };
    return { facts, requests };
  } finally {
    for (const name of Object.values(names)) spawnSync('ip', ['netns', 'del', name]);
  }
}
