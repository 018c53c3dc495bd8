import { ProvisionError } from '../contracts/failures.ts';
import { asIpCommand, type LinkOperation } from '../network/link-operation.ts';
import { NetlinkError } from './netlink-error.ts';
import { SystemCallError } from './system-calls.ts';

/** A refused operation in the operator's words: the command, the errno, the kernel's sentence. */
export const kernelRefused = (
  operation: LinkOperation,
  netns: string | undefined,
  error: NetlinkError,
): ProvisionError =>
  refused(
    `"${asIpCommand(operation, netns)}": ${error.code}${error.extack === undefined ? '' : `, ${error.extack}`}`,
    error,
    remedyFor(operation, error.code),
  );

/** The same for a command of another kind of plan. */
export const commandRefused = (command: string, error: NetlinkError, remedy?: string): ProvisionError =>
  refused(`"${command}": ${error.code}${error.extack === undefined ? '' : `, ${error.extack}`}`, error, remedy);

/** Where the operation says more than the errno does. */
function remedyFor(operation: LinkOperation, code: string): string | undefined {
  const kind = kindMade(operation);
  if (kind === undefined) return undefined;
  switch (code) {
    case 'ENOTSUP':
    case 'EOPNOTSUPP':
      return `The node’s kernel lacks this: modprobe ${modules[kind]}`;
    case 'EEXIST':
      return kind === 'vlan'
        ? 'A parent has each VLAN id once, in whichever namespace: leave the VLAN to one pod, or share it with `vlanID` and another kind'
        : undefined;
    default:
      return undefined;
  }
}

function kindMade(operation: LinkOperation): keyof typeof modules | undefined {
  if (operation.op === 'create-link') return operation.link.kind;
  if (operation.op === 'create-pair') return 'veth';
  return operation.op === 'create-bond' ? 'bond' : undefined;
}

const modules = { macvlan: 'macvlan', ipvlan: 'ipvlan', vlan: '8021q', veth: 'veth', bond: 'bonding' } as const;

/** The same for what is no step of a plan: looking, opening, sending. Leaves every other error as it is. */
export const kernelRefusedUnplanned = (task: string, error: unknown): unknown =>
  error instanceof NetlinkError || error instanceof SystemCallError
    ? refused(`${task}: ${error.message}`, error)
    : error;

function refused(what: string, cause: NetlinkError | SystemCallError, known?: string): ProvisionError {
  const message = `The kernel refused ${what}`;
  const remedy = known ?? remedies[cause.code] ?? 'dmesg and ip -d link show on the node may say more';
  return new ProvisionError({ type: 'KernelRefused', message, remedy }, { cause });
}

const remedies: Readonly<Record<string, string>> = {
  EPERM: 'The node worker needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN: look at its securityContext',
  EBUSY:
    'Another driver receives the parent’s frames (macvlan, ipvlan, bridge, bond, Open vSwitch): ip -d link show on the node',
  EINVAL: 'In mode passthru a parent carries one interface only; else see ip -d link show on the node and dmesg',
};
