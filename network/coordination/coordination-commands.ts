import type { CoordinationOperation, Place, PolicyRule, PolicyTableRoute } from './coordination-operation.ts';
import { vethInPod } from './pod-layout.ts';
import { replyMarkRules, replyMarkTable } from './reply-marks.ts';

/** The plan in the order and the form in which an operator would type it on the node. `netns` is the path of the pod's namespace. */
export const asCommands = (operations: readonly CoordinationOperation[], netns: string): string[] =>
  operations.flatMap((operation) => asCommand(operation, netns));

/** One operation, one command; the reply marks are several, which nft(8) takes in one transaction. */
export function asCommand(operation: CoordinationOperation, netns: string): string[] {
  const name = shortName(netns);
  const enter = `nsenter --net=${netns}`;
  const ip = (at: Place): string => (at === 'node' ? 'ip' : name === undefined ? `${enter} ip` : `ip -n ${name}`);
  switch (operation.op) {
    case 'create-veth': {
      const { ifName, mac, nodeEnd, mtuBytes, group } = operation;
      return [
        `ip link add name ${nodeEnd.ifName} group ${group} address ${nodeEnd.mac} mtu ${mtuBytes} type veth peer name ${ifName} group ${group} address ${mac} mtu ${mtuBytes} netns ${name ?? netns}`,
      ];
    }
    case 'delete-veth':
      return [`${ip('pod')} link del dev ${operation.ifName}`];
    case 'set-alias':
      return [
        `${ip(operation.at)} link set dev ${operation.ifName} alias ${operation.alias === '' ? "''" : operation.alias}`,
      ];
    case 'set-up':
    case 'set-down':
      return [`${ip(operation.at)} link set dev ${operation.ifName} ${operation.op === 'set-up' ? 'up' : 'down'}`];
    case 'set-mac':
      return [`${ip('pod')} link set dev ${operation.ifName} address ${operation.mac}`];
    case 'set-tx-queue':
      return [`${ip('pod')} link set dev ${operation.ifName} txqueuelen ${operation.packets}`];
    case 'add-address':
    case 'delete-address':
      return [
        `${ip('pod')} addr ${operation.op === 'add-address' ? 'add' : 'del'} ${operation.address} dev ${operation.ifName}`,
      ];
    case 'set-sysctl':
      return [`${enter} sysctl -w ${operation.key}=${operation.value}`];
    case 'add-route':
    case 'delete-route': {
      const { rank } = operation;
      const verb =
        operation.op === 'delete-route' ? 'del' : rank === 'first' ? 'prepend' : rank === 'last' ? 'append' : 'add';
      return [`${ip(operation.at)} ${familyOf(operation.route.dst)}route ${verb} ${routeText(operation.route)}`];
    }
    case 'add-rule':
    case 'delete-rule':
      return [`${ip('pod')} ${ruleText(operation.rule, operation.op === 'add-rule' ? 'add' : 'del')}`];
    case 'ensure-rule':
      return [`ip ${ruleText(operation.rule, 'add')}`];
    case 'add-neighbour': {
      const { at, address, mac, ifName, state, protocol } = operation;
      return [
        `${ip(at)} neigh replace ${address} lladdr ${mac} dev ${ifName} nud ${state}${protocol === 0 ? '' : ` proto ${protocol}`}`,
      ];
    }
    case 'delete-neighbour':
      return [`${ip(operation.at)} neigh del ${operation.address} dev ${operation.ifName}`];
    case 'add-reply-marks':
      return replyMarkRules(vethInPod).map((rule) => `${enter} nft ${rule.includes(' ') ? `'${rule}'` : rule}`);
    case 'delete-reply-marks':
      return [`${enter} nft delete table inet ${replyMarkTable}`];
    default:
      return operation satisfies never;
  }
}

const familyOf = (address: string): string => (address.includes(':') ? '-6 ' : '');

/** A route as ip(8) takes it. */
export function routeText(route: PolicyTableRoute): string {
  const { dst, ifName, table, gateway, source, metric, mtuBytes, protocol, isOnlink } = route;
  const destination = dst === '0.0.0.0/0' || dst === '::/0' ? 'default' : dst;
  const plainMetric = dst.includes(':') ? 1024 : 0;
  return [
    destination,
    ...(gateway === undefined ? [] : ['via', gateway]),
    'dev',
    ifName,
    ...(table === 254 ? [] : ['table', table]),
    ...(source === undefined ? [] : ['src', source]),
    ...(metric === plainMetric ? [] : ['metric', metric]),
    'proto',
    protocol,
    ...(mtuBytes === undefined ? [] : ['mtu', mtuBytes]),
    ...(isOnlink === true ? ['onlink'] : []),
  ].join(' ');
}

/** A rule as ip(8) takes it, with the word `rule`. */
export const ruleText = ({ family, priority, table, protocol, from, mark }: PolicyRule, verb: string): string =>
  [
    ...(family === 6 ? ['-6'] : []),
    'rule',
    verb,
    ...(from === undefined ? [] : ['from', from]),
    ...(mark === undefined ? [] : ['fwmark', `0x${mark.toString(16)}`]),
    'lookup',
    table,
    'pref',
    priority,
    'proto',
    protocol,
  ].join(' ');

/** ip(8) takes a name only for what lies in its own directory. */
const shortName = (netns: string): string | undefined => /^(?:\/var)?\/run\/netns\/([^/]+)$/.exec(netns)?.[1];
