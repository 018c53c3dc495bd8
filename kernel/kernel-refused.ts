import { ProvisionError } from '../contracts/failures.ts';
import { asIpCommand, type LinkOperation } from '../network/link-operation.ts';
import { NetlinkError } from './netlink-error.ts';
import { SystemCallError } from './system-calls.ts';

/** A refused operation in the operator's words: the command, the errno, the kernel's sentence. */
export const kernelRefused = (operation: LinkOperation, netns: string, error: NetlinkError): ProvisionError =>
  refused(
    `"${asIpCommand(operation, netns)}": ${error.code}${error.extack === undefined ? '' : `, ${error.extack}`}`,
    error,
  );

/** The same for what is no step of a plan: looking, opening, sending. Leaves every other error as it is. */
export const kernelRefusedUnplanned = (task: string, error: unknown): unknown =>
  error instanceof NetlinkError || error instanceof SystemCallError
    ? refused(`${task}: ${error.message}`, error)
    : error;

function refused(what: string, cause: NetlinkError | SystemCallError): ProvisionError {
  const message = `The kernel refused ${what}`;
  const remedy = remedies[cause.code] ?? 'dmesg and ip -d link show on the node may say more';
  return new ProvisionError({ type: 'KernelRefused', message, remedy }, { cause });
}

const missingDriver = 'The node’s kernel lacks this: modprobe macvlan';
const remedies: Readonly<Record<string, string>> = {
  EPERM: 'The node worker needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN: look at its securityContext',
  EBUSY:
    'Another driver receives the parent’s frames (ipvlan, bridge, bond, Open vSwitch): ip -d link show on the node',
  EINVAL: 'In mode passthru a parent carries one interface only; else see ip -d link show on the node and dmesg',
  ENOTSUP: missingDriver,
  EOPNOTSUPP: missingDriver,
};
