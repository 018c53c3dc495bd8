import type { ClusterSettings } from '../contracts/cluster-settings.ts';
import type { AddRequest, ClaimedAddress } from '../contracts/pod-network.ts';
import { type ProbeSettings, type ProbeTiming, probeSettings } from '../contracts/probing.ts';
import { gatewayUnreachable } from '../ipam/failures.ts';
import { isMalformed, type Pool } from '../ipam/pool-snapshot.ts';
import type { DeviceLending } from './lent-devices.ts';
import type { Kernel, Log, ProbeAnswer } from './node-ports.ts';
import { stepLog } from './step-log.ts';

export interface ProbePorts {
  readonly kernel: Pick<Kernel, 'plumb' | 'probe' | 'announce'>;
  readonly devices: Pick<DeviceLending, 'lend'>;
  readonly cluster: ClusterSettings;
  readonly log: Log;
}

/**
 * Where an attachment asks the network about an address that it does not use yet: at the pod's own interface. From the link
 * underneath it would not reach the other pods on it.
 *
 * In whole mode that interface is made here, without address, when it is first needed; the next step completes it, and every
 * undo takes it away. In chained mode the main plugin has made it before it calls its IPAM.
 */
export class ProbeSite {
  readonly #ports: ProbePorts;
  readonly #request: AddRequest;
  readonly #pools: ReadonlyMap<string, Pool>;
  #interface: Promise<unknown> | undefined;
  #hasAsked = false;
  #hasWarned = false;

  /** @param pools All of the cluster, by name: each may say what is asked about its addresses. */
  constructor(ports: ProbePorts, request: AddRequest, pools: ReadonlyMap<string, Pool>) {
    this.#ports = ports;
    this.#request = request;
    this.#pools = pools;
  }

  /** Something is asked about every address of the pool, so each takes its time. */
  asksAbout(pool: string): boolean {
    const { conflicts, gateways } = this.#settingsFor(pool);
    return conflicts || gateways;
  }

  /** The MAC of whoever answers for an address that is claimed for us; undefined when nobody does, or nobody is to be asked. */
  async strangerAt(address: string, pool: string): Promise<string | undefined> {
    const { conflicts, timing } = this.#settingsFor(pool);
    if (!conflicts) return undefined;
    const answer = await this.#ask({ target: address, timing });
    if (answer.outcome === 'mute') this.#warn(answer.why);
    return answer.outcome === 'answered' ? answer.mac : undefined;
  }

  /**
   * The same about an address that others may be about to take, whatever the settings say: only silence lets one of them have it,
   * and its claim decides who.
   */
  lastOwnerOf(address: string, pool: string): Promise<ProbeAnswer> {
    const { timing } = this.#settingsFor(pool);
    return this.#ask({ target: address, ignoresSearches: true, timing });
  }

  /** Throws `GatewayUnreachable`. */
  async requireGateway({ address, gateway, pool }: ClaimedAddress): Promise<void> {
    const { gateways, timing } = this.#settingsFor(pool);
    if (!gateways || gateway === undefined) return;
    const answer = await this.#ask({ target: gateway, from: withoutLength(address), timing });
    if (answer.outcome === 'mute') this.#warn(answer.why);
    if (answer.outcome !== 'silent') return;
    throw gatewayUnreachable({ address, gateway, pool }, this.#request.attachment.ifName, timing);
  }

  /**
   * Tells the neighbours where these addresses are now. For an interface of another plugin: it was brought up to ask, so the
   * kernel will not announce what is added to it later (Spiderpool's #4650). Nobody waits for it.
   */
  announce(addresses: readonly ClaimedAddress[]): void {
    if (!this.#hasAsked || this.#request.network.provides !== 'addresses') return;
    const { netns, attachment } = this.#request;
    this.#ports.kernel
      .announce({ netns, ifName: attachment.ifName, addresses: addresses.map(({ address }) => address) })
      .catch((err: unknown) => stepLog(this.#ports.log, this.#request).warn({ err }, 'addresses not announced'));
  }

  /** What a pool says of its addresses holds in every network; what a network says, in the cluster. */
  #settingsFor(pool: string): ProbeSettings {
    const found = this.#pools.get(pool);
    const ofPool = found === undefined || isMalformed(found) ? undefined : found.probes;
    return probeSettings(this.#ports.cluster.probes, this.#request.network.probes, ofPool);
  }

  async #ask(question: Question): Promise<ProbeAnswer> {
    const { netns, netnsCookie, attachment } = this.#request;
    this.#interface ??= this.#makeInterface();
    await this.#interface;
    const target = withoutLength(question.target);
    const answer = await this.#ports.kernel.probe({
      ...question,
      target,
      netns,
      netnsCookie,
      ifName: attachment.ifName,
    });
    this.#hasAsked ||= answer.outcome !== 'mute';
    stepLog(this.#ports.log, this.#request).debug({ target, from: question.from, ...answer }, 'neighbours asked');
    return answer;
  }

  async #makeInterface(): Promise<void> {
    const { network, attachment, netns, netnsCookie } = this.#request;
    const { link, device } = network;
    if (device !== undefined) await this.#ports.devices.lend(this.#request, device, { addresses: [] });
    if (link === undefined) return;
    const { containerID, ifName } = attachment;
    const { commands } = await this.#ports.kernel.plumb({
      containerID,
      ifName,
      netns,
      netnsCookie,
      link,
      addresses: [],
    });
    stepLog(this.#ports.log, this.#request).debug({ commands }, 'link made to ask from');
  }

  #warn(why: string): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    stepLog(this.#ports.log, this.#request).warn({ why }, 'the network is not asked about the addresses');
  }
}

interface Question {
  readonly target: string;
  readonly from?: string;
  readonly ignoresSearches?: boolean;
  readonly timing: ProbeTiming;
}

const withoutLength = (address: string): string => address.replace(/\/.*/, '');
