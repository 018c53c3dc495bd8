import type { IPClaim } from '../../contracts/crds/ipclaim.ts';
import type { StackNode } from '../../deploy/dev/node.ts';

/** Everything that an ADD can leave behind, except runs: those are recorded a moment after the answer. */
export interface ClusterState {
  readonly claims: readonly IPClaim[];
  readonly nodes: readonly NodeState[];
}

export interface NodeState {
  readonly name: string;
  /** The node's own namespace and that of every sandbox that is mounted there, by path. */
  readonly namespaces: readonly NamespaceContents[];
  /** Files of attachment records, and drafts of them. */
  readonly records: readonly string[];
  /** Files that wait in the queue of DELs. */
  readonly waiting: readonly string[];
}

export interface NamespaceContents {
  /** `node` for the node's own. */
  readonly path: string;
  readonly links: readonly LinkContents[];
  /** As ip(8) prints them: both families and every table but "local"; neighbours that somebody wrote down. */
  readonly routes: readonly string[];
  readonly rules: readonly string[];
}

export interface LinkContents {
  readonly name: string;
  readonly alias: string;
  readonly mtuBytes: number;
  readonly isUp: boolean;
  /** With prefix length; link-local ones too. */
  readonly addresses: readonly string[];
}

/** Reads one node in one go, in its own view of the mounts. */
export async function readNodeState(node: StackNode): Promise<NodeState> {
  const { paths } = node;
  const out = await node.exec(['sh', '-c', script, paths.run, paths.queue]);
  const [namespaces = '', records = '', waiting = ''] = out.split('\x1d');
  return {
    name: node.name,
    namespaces: namespaces
      .split('\x1e')
      .filter((text) => text.trim() !== '')
      .map((text) => parseNamespace(text)),
    records: lines(records).sort(),
    waiting: lines(waiting).sort(),
  };
}

/** Separators of ASCII: unit (0x1f) between answers, record (0x1e) between namespaces, group (0x1d) between parts. */
const script = String.raw`
routes='ip route show table all; ip neigh show nud permanent'
look="ip -j addr; printf '\037'; { $routes; } | grep -v ' table local '; printf '\037'; ip rule; ip -6 rule"
printf 'node\037'; sh -c "$look"; printf '\036'
for netns in $(awk '$4 ~ /^net:/ { print $5 }' /proc/self/mountinfo | sort -u); do
  seen=$(nsenter --net="$netns" sh -c "$look" 2>/dev/null) || continue # it went meanwhile
  printf '%s\037%s\036' "$netns" "$seen"
done
printf '\035'; find "$0/attachments" "$0/attachments.new" -type f 2>/dev/null
printf '\035'; find "$1" -type f 2>/dev/null
true
`;

interface IpLink {
  readonly ifname: string;
  readonly ifalias?: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly addr_info: readonly { readonly local: string; readonly prefixlen: number }[];
}

function parseNamespace(text: string): NamespaceContents {
  const [path = '', addresses = '[]', routes = '', rules = ''] = text.split('\x1f');
  const links = (JSON.parse(addresses) as readonly Partial<IpLink>[]).filter(
    (link): link is IpLink => link.ifname !== undefined,
  );
  return {
    path: path.trim(),
    links: links.map(({ ifname, ifalias = '', mtu, flags, addr_info }) => ({
      name: ifname,
      alias: ifalias,
      mtuBytes: mtu,
      isUp: flags.includes('UP'),
      addresses: addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`).sort(),
    })),
    routes: lines(routes).sort(),
    rules: lines(rules).sort(),
  };
}

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

/** The state as text, one fact a line, so that two of them can be compared and their difference read. */
export function asLines({ claims, nodes }: ClusterState): readonly string[] {
  return [
    ...claims.map(({ metadata, spec }) => {
      const holders = spec.holders.map(
        ({ namespace, pod, interface: nic, containerID }) => `${namespace}/${pod} ${nic} ${containerID}`,
      );
      return `claim ${metadata.name} ${spec.phase} ${spec.pool}: ${holders.join(', ')}`;
    }),
    ...nodes.flatMap(({ name, namespaces, records, waiting }) => [
      ...namespaces.flatMap(({ path, links, routes, rules }) => [
        ...links.flatMap(({ name: link, alias, mtuBytes, isUp, addresses }) => [
          `${name} ${path} link ${link} mtu ${mtuBytes} ${isUp ? 'up' : 'down'} ${alias}`,
          ...addresses.map((address) => `${name} ${path} ${link} address ${address}`),
        ]),
        ...routes.map((route) => `${name} ${path} route ${route}`),
        ...rules.map((rule) => `${name} ${path} rule ${rule}`),
      ]),
      ...records.map((file) => `${name} record ${file}`),
      ...waiting.map((file) => `${name} waiting ${file}`),
    ]),
  ].sort();
}
