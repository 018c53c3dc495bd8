import type { ClusterSettings } from '../contracts/cluster-settings.ts';
import type { AddRequest } from '../contracts/pod-network.ts';
import { type ProbeConf, type ProbeTiming, probeSettings } from '../contracts/probing.ts';
import { toClaimName } from '../ipam/address.ts';
import { parseCidr } from '../ipam/cidr.ts';
import { conflictAfterwards, gatewayUnreachable } from '../ipam/failures.ts';
import type { AttachmentRecords, ClaimStore, Kernel, Log, ProbeAnswer } from './node-ports.ts';
import { stepLog } from './step-log.ts';

export interface InUsePorts {
  readonly records: Pick<AttachmentRecords, 'list'>;
  readonly claims: Pick<ClaimStore, 'readWhole' | 'setConflicted'>;
  readonly kernel: Pick<Kernel, 'probe'>;
  readonly cluster: ClusterSettings;
  readonly log: Log;
}

/**
 * Asks about the addresses that an interface of another plugin has by now, as far as its coordination says so: a chained coordinator
 * comes after whoever configured them. Throws `AddressConflict` and `GatewayUnreachable`. An address of ours for which something
 * answers is marked, unless it is kept for somebody: so the next ADD gets another one.
 */
export async function requireUnused(
  ports: InUsePorts,
  request: AddRequest,
  addresses: readonly string[],
  said: ProbeConf | undefined,
): Promise<void> {
  const { cluster } = ports;
  // What the cluster says is its address management's to heed: that can still take another address.
  const off = { conflicts: false, gateways: false, timing: cluster.probes.timing };
  const { conflicts, gateways, timing } = probeSettings(off, said);
  const asked = addresses.map(withoutLength).filter((address) => !address.startsWith('fe80:'));
  if (conflicts) await sideBySide(asked, (address) => requireAlone(ports, request, address, timing));
  if (gateways) await sideBySide(asked, (address) => requireGateway(ports, request, address, timing));
}

async function requireAlone(
  ports: InUsePorts,
  request: AddRequest,
  address: string,
  timing: ProbeTiming,
): Promise<void> {
  const { claims, cluster, log } = ports;
  const name = nameOf(address);
  const claim = name === undefined ? undefined : await claims.readWhole(name);
  if (claim !== undefined && claim.spec.holders.length > 1) return; // a machine that migrates: its other pod answers
  const answer = await ask(ports, request, { target: address, timing });
  if (answer.outcome !== 'answered') return;
  const { containerID, ifName } = request.attachment;
  const isOurs = claim?.spec.holders.some((holder) => holder.containerID === containerID) === true;
  if (name !== undefined && isOurs && claim.spec.identity === undefined) {
    const until = new Date(Date.now() + cluster.conflictSeconds * 1000).toISOString();
    stepLog(log, request).warn({ address, pool: claim.spec.pool, mac: answer.mac, until }, 'address in use');
    await claims.setConflicted(name, { containerID, until });
  }
  throw conflictAfterwards({ address, mac: answer.mac }, ifName);
}

async function requireGateway(
  ports: InUsePorts,
  request: AddRequest,
  address: string,
  timing: ProbeTiming,
): Promise<void> {
  const { containerID, ifName } = request.attachment;
  const claimed = (await ports.records.list(containerID))
    .filter((record) => record.attachment.ifName === ifName)
    .flatMap((record) => record.addresses)
    .find((one) => withoutLength(one.address) === address);
  if (claimed?.gateway === undefined) return; // of another address management, or a pool that has none
  const { gateway, pool } = claimed;
  const answer = await ask(ports, request, { target: gateway, from: address, timing });
  if (answer.outcome === 'silent')
    throw gatewayUnreachable({ address: claimed.address, gateway, pool }, ifName, timing);
}

async function ask(
  { kernel, log }: InUsePorts,
  request: AddRequest,
  question: { readonly target: string; readonly from?: string; readonly timing: ProbeTiming },
): Promise<ProbeAnswer> {
  const { netns, netnsCookie, attachment } = request;
  const answer = await kernel.probe({ ...question, netns, netnsCookie, ifName: attachment.ifName });
  stepLog(log, request).debug({ target: question.target, from: question.from, ...answer }, 'neighbours asked');
  if (answer.outcome === 'mute')
    stepLog(log, request).warn({ why: answer.why }, 'the network is not asked about the addresses');
  return answer;
}

/** All are through before the failure of one is told. */
async function sideBySide(addresses: readonly string[], work: (address: string) => Promise<void>): Promise<void> {
  for (const outcome of await Promise.allSettled(addresses.map(work))) {
    if (outcome.status === 'rejected') throw outcome.reason;
  }
}

const withoutLength = (address: string): string => address.replace(/\/.*/, '');

function nameOf(text: string): string | undefined {
  const address = parseCidr(`${text}/${text.includes(':') ? 128 : 32}`)?.address;
  return address && toClaimName(address);
}
