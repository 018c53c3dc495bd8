import type { Attachment } from '../contracts/attachment.ts';
import type { CniResult } from '../contracts/cni.ts';
import { toCniResult } from '../contracts/cni-result.ts';
import { type Failure, ProvisionError } from '../contracts/failures.ts';
import type { AddRequest, ClaimedAddress, LinkConf } from '../contracts/pod-network.ts';
import { otherIpvlanMode } from '../network/ipvlan-mode.ts';
import { type SettlePorts, settleCoordination, yieldsDefaultRoute } from './coordinate.ts';
import { callerGone, detachWanted } from './interruptions.ts';
import type { DeviceLending, LentDevice } from './lent-devices.ts';
import type { AttachmentRecord, AttachmentRecords, Kernel, Log, OpenCalls } from './node-ports.ts';
import { stepLog } from './step-log.ts';

export interface PlumbPorts extends SettlePorts {
  readonly calls: OpenCalls;
  readonly records: AttachmentRecords;
  readonly kernel: Pick<Kernel, 'plumb' | 'announce'>;
  readonly devices: Pick<DeviceLending, 'lend'>;
  readonly log: Log;
}

/**
 * Makes the pod's interface with its addresses and routes: the last operation of a whole attachment unless it asks for
 * coordination, so it answers.
 */
export const createPlumbLink =
  (ports: PlumbPorts) =>
  async (request: AddRequest, addresses: readonly ClaimedAddress[]): Promise<CniResult> => {
    const { calls, records, kernel, devices, log: workerLog } = ports;
    const log = stepLog(workerLog, request);
    const { attachment, netns, netnsCookie, nonce, network } = request;
    const { containerID, ifName } = attachment;
    const record = await records.read(attachment);
    if (record?.doneResult !== undefined) {
      calls.succeed(nonce, record.doneResult);
      return record.doneResult;
    }
    if (!calls.isWaiting(nonce)) throw callerGone(attachment);
    // Without its record the attachment was undone meanwhile, and its addresses may be someone else's by now.
    if (record === undefined || calls.isDetachWanted(attachment)) throw detachWanted(attachment);
    calls.noteStep(nonce);
    const isLast = network.coordination === undefined;
    const coordination = isLast ? undefined : (record.coordination ?? (await settleCoordination(ports, request)));
    const yields = yieldsDefaultRoute(coordination) ? { yieldsDefaultRoute: true } : {};
    const made =
      network.device === undefined
        ? await make(record)
        : await devices.lend(request, network.device, { addresses, ...yields });
    const { mac, mtuBytes, record: latest } = made;
    const pciID = latest.lease?.pciAddress;
    const result = toCniResult(addresses, {
      name: ifName,
      mac,
      ...(mtuBytes === undefined ? {} : { mtu: mtuBytes }),
      sandbox: netns,
      ...(pciID === undefined ? {} : { pciID }),
    });
    if (coordination === undefined) {
      await records.write({ ...latest, addresses, doneResult: result });
      calls.succeed(nonce, result);
    } else await records.write({ ...latest, addresses, coordination });
    log.info({ mac, addresses: addresses.map(({ address }) => address) }, 'interface attached');
    if (mtuBytes !== undefined && hasNeighbours(network.link)) announce();
    return result;

    async function make(known: AttachmentRecord): Promise<LentDevice> {
      if (network.link === undefined) {
        throw new ProvisionError({
          type: 'Internal',
          message: `Cannot make ${ifName}: its network asks for no interface`,
        });
      }
      const otherMode = await contradictoryMode(network.link, attachment, records);
      if (otherMode !== undefined) throw new ProvisionError(otherMode);
      const place = { containerID, ifName, netns, netnsCookie };
      const { commands, ...link } = await kernel.plumb({ ...place, link: network.link, addresses, ...yields });
      log.debug({ commands }, 'link made');
      return { ...link, record: known };
    }

    // A neighbour that remembers the address's last owner learns its new MAC now. arp_notify would announce only on link
    // up (ip-sysctl.rst). The answer does not wait: closing a packet socket takes the kernel 15 ms.
    function announce(): void {
      kernel
        .announce({ netns, ifName, mac, addresses: addresses.map(({ address }) => address) })
        .catch((err: unknown) => {
          log.warn({ err }, 'addresses not announced');
        });
    }
  };

/** An ipvlan of layer 3 has none. */
const hasNeighbours = (link: LinkConf | undefined): boolean => link?.kind !== 'ipvlan' || link.mode === 'l2';

/** Only an ipvlan depends on what other pods of the node have. */
async function contradictoryMode(
  link: LinkConf,
  { containerID, ifName }: Attachment,
  records: AttachmentRecords,
): Promise<Failure | undefined> {
  if (link.kind !== 'ipvlan') return undefined;
  const others = (await records.list()).flatMap(({ attachment, pod, isLeaving, link: other }) =>
    other === undefined ||
    isLeaving === true ||
    (attachment.containerID === containerID && attachment.ifName === ifName)
      ? []
      : [{ link: other, owner: `interface ${attachment.ifName} of pod ${pod.namespace}/${pod.name}` }],
  );
  return otherIpvlanMode(link, others);
}
