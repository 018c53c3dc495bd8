import { management, type StackLayout, underlay } from './layout.ts';
import { runCommand } from './run-command.ts';

/** `ip -batch` lines for one network namespace; without a name, for the host's (which only makes namespaces and touches no link). */
export interface IpBatch {
  readonly netns?: string;
  readonly lines: readonly string[];
}

/**
 * The stack's network as commands: a `fabric` namespace with a management and an underlay bridge, and everybody else plugged into it.
 * No link and no route leads to the host.
 */
export function planFabric({ netns, nodes }: StackLayout): IpBatch[] {
  const plug = (bridge: string, port: string, peer: string, peerNetns: string): string[] => [
    `link add ${port} type veth peer name ${peer} netns ${peerNetns}`,
    `link set ${port} master ${bridge} up`,
  ];
  const { v4, v6 } = underlay;
  return [
    {
      lines: [netns.control, netns.fabric, netns.outside, ...nodes.map((node) => node.netns)].map(
        (name) => `netns add ${name}`,
      ),
    },
    {
      netns: netns.fabric,
      lines: [
        'link set lo up',
        // Without a querier, snooping would drop multicast, and with it NDP, after some minutes.
        'link add management type bridge mcast_snooping 0',
        'link add underlay type bridge mcast_snooping 0',
        'link set management up',
        'link set underlay up',
        `address add ${v4.gateway}/${v4.prefixLength} dev underlay`,
        `address add ${v6.gateway}/${v6.prefixLength} dev underlay nodad`,
        ...plug('management', 'm-control', 'eth0', netns.control),
        ...plug('underlay', 'u-outside', 'eth0', netns.outside),
        ...nodes.flatMap((node, index) => [
          ...plug('management', `m-node${index}`, 'eth0', node.netns),
          ...plug('underlay', `u-node${index}`, 'underlay0', node.netns),
        ]),
      ],
    },
    {
      netns: netns.control,
      lines: [
        'link set lo up',
        `address add ${management.control}/${management.prefixLength} dev eth0`,
        'link set eth0 up',
      ],
    },
    {
      netns: netns.outside,
      lines: [
        'link set lo up',
        `address add ${v4.outside}/${v4.prefixLength} dev eth0`,
        `address add ${v6.outside}/${v6.prefixLength} dev eth0 nodad`,
        'link set eth0 up',
      ],
    },
    ...nodes.map((node) => ({
      netns: node.netns,
      lines: [
        'link set lo up',
        `address add ${node.address}/${management.prefixLength} dev eth0`,
        'link set eth0 up',
        'link set underlay0 addrgenmode none', // only the pods have addresses there
        'link set underlay0 up',
      ],
    })),
  ];
}

/** Builds the stack's network namespaces and links. */
export async function buildFabric(layout: StackLayout): Promise<void> {
  for (const { netns, lines } of planFabric(layout)) {
    const where = netns === undefined ? [] : ['-netns', netns];
    await runCommand(['ip', ...where, '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }
  // Control workers share their port: who connects while one of them stops goes to another one.
  const migration = '/proc/sys/net/ipv4/tcp_migrate_req';
  const set = `[ ! -e ${migration} ] || echo 1 > ${migration}`; // since Linux 5.14
  await runCommand(['ip', 'netns', 'exec', layout.netns.control, 'sh', '-c', set]);
}
