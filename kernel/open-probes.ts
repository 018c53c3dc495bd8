import { ProvisionError } from '../contracts/failures.ts';
import type { ProbeTiming } from '../contracts/probing.ts';
import { parseAddress } from '../network/ip-prefix.ts';
import { linkLayerAddress } from './link-layer-address.ts';
import { getLink, setLinkUp } from './link-message.ts';
import { groupsOfSearch } from './ndp-frame.ts';
import {
  AF_PACKET,
  IFF_LOWER_UP,
  MSG_DONTWAIT,
  PACKET_ADD_MEMBERSHIP,
  PACKET_MR_MULTICAST,
  SOCK_RAW,
  SOL_PACKET,
} from './netlink-constants.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { closing, type NetworkNamespace, openPodNamespace } from './network-namespace.ts';
import { observeLink } from './observe.ts';
import { Probe, whyMute } from './probe.ts';
import { SystemCallError, type SystemCalls } from './system-calls.ts';

/** One question to the neighbours of an interface of a sandbox. */
export interface ProbeSpec {
  readonly netns: string;
  readonly netnsCookie: string;
  readonly ifName: string;
  /** The address whose owner is looked for, without prefix length. */
  readonly target: string;
  /** Our own address, which asks for a gateway. Absent: a search for duplicates, from which no neighbour learns anything. */
  readonly from?: string;
  /** For takers of one address among whom something else decides: their searches are no answers. */
  readonly ignoresSearches?: boolean;
  readonly timing: ProbeTiming;
}

/** `mute`: nobody can be asked through this interface, so that silence would say nothing. */
export type ProbeAnswer =
  | { readonly outcome: 'answered'; readonly mac: string }
  | { readonly outcome: 'silent' }
  | { readonly outcome: 'mute'; readonly why: string };

interface OpenProbe {
  readonly id: number;
  readonly ifName: string;
  readonly socket: number;
  readonly probe: Probe;
  /** Tells whether the link has a carrier, until it has: what is sent without is dropped, and no error says so. */
  carrier: CarrierLook | undefined;
}

interface CarrierLook {
  isThere(): boolean;
  close(): void;
}

/** Told how each question ended. */
export interface ProbeListener {
  answered(id: number, answer: ProbeAnswer): void;
  failed(id: number, error: unknown): void;
}

/** Of one socket in one turn: a link that floods must not keep the others waiting. */
const framesPerTurn = 64;
const received = Buffer.allocUnsafe(2048);

/**
 * All questions that are open, on whichever links: their sockets are waited for together, so a hundred take no longer than one.
 * Blocks in poll(2) and in the kernel's grace periods, so it lives in a thread of its own.
 */
export class OpenProbes {
  readonly #calls: SystemCalls;
  readonly #listener: ProbeListener;
  readonly #open = new Set<OpenProbe>();
  readonly #toClose: number[] = [];

  constructor(calls: SystemCalls, listener: ProbeListener) {
    this.#calls = calls;
    this.#listener = listener;
  }

  /** Nothing is asked, and no socket is left open. */
  get isIdle(): boolean {
    return this.#open.size === 0 && this.#toClose.length === 0;
  }

  ask(id: number, spec: ProbeSpec): void {
    try {
      const begun = begin(this.#calls, spec);
      if ('why' in begun) this.#listener.answered(id, { outcome: 'mute', why: begun.why });
      else this.#open.add({ id, ifName: spec.ifName, ...begun });
    } catch (error) {
      this.#listener.failed(id, error);
    }
  }

  /** Sends what is due, then waits for answers: until the next sending is due, or for `mostMs`. */
  turn(mostMs: number): void {
    for (const one of this.#open) this.#attempt(one, () => this.#advance(one));
    const probes = [...this.#open];
    const nextAtMs = Math.min(...probes.map(({ probe }) => probe.nextAtMs));
    const idleMs = Math.ceil(Math.max(0, Math.min(mostMs, nextAtMs - performance.now())));
    const readable = this.#calls.poll(
      probes.map(({ socket }) => socket),
      this.#toClose.length > 0 ? 0 : idleMs,
    );
    for (const one of probes) if (readable.includes(one.socket)) this.#attempt(one, () => this.#listen(one));
    if (readable.length === 0) this.#closeOne();
  }

  #advance(one: OpenProbe): void {
    const { probe, socket, ifName, id } = one;
    const nowMs = performance.now();
    switch (probe.next(nowMs)) {
      case 'wait':
        return;
      case 'send':
        if (!hasCarrier(one)) return probe.notSent(nowMs);
        this.#calls.sendto(socket, probe.frame);
        return probe.sent(nowMs);
      case 'end':
        this.#listen(one); // what came while others were served
        if (this.#open.has(one)) this.#listener.answered(id, { outcome: 'silent' });
        return this.#finish(one);
      case 'dead':
        throw linkDead(ifName);
    }
  }

  #listen(one: OpenProbe): void {
    for (let frames = 0; frames < framesPerTurn; frames += 1) {
      let length: number;
      try {
        length = this.#calls.recv(one.socket, received, MSG_DONTWAIT);
      } catch (error) {
        if (error instanceof SystemCallError && error.code === 'EAGAIN') return;
        throw error;
      }
      const mac = one.probe.heard(received.subarray(0, length));
      if (mac === undefined) continue;
      this.#listener.answered(one.id, { outcome: 'answered', mac });
      return this.#finish(one);
    }
  }

  #attempt(one: OpenProbe, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#listener.failed(one.id, error);
      this.#finish(one);
    }
  }

  #finish(one: OpenProbe): void {
    if (!this.#open.delete(one)) return;
    one.carrier?.close();
    this.#toClose.push(one.socket);
  }

  /** Takes a grace period of the kernel, about 15 ms: one at a time, while nobody has anything to say. */
  #closeOne(): void {
    const socket = this.#toClose.shift();
    if (socket !== undefined) this.#calls.close(socket);
  }
}

function begin(
  calls: SystemCalls,
  { netns, netnsCookie, ifName, target, from, ignoresSearches = false, timing }: ProbeSpec,
): Pick<OpenProbe, 'socket' | 'probe' | 'carrier'> | { readonly why: string } {
  return closing(openPodNamespace(calls, netns, netnsCookie), (namespace) => {
    const link = closing(namespace.netlink(), (pod) => {
      const found = observeLink(pod, ifName);
      // A plugin that calls its IPAM has made its link, and brings it up once it has the address.
      const isAsleep = found?.isUp === false && whyMute(found) === undefined;
      if (isAsleep) pod.change(`RTM_NEWLINK ${ifName} up`, setLinkUp(found.ifIndex, true));
      return found;
    });
    if (link === undefined) return { why: `the sandbox has no interface "${ifName}" yet` };
    const why = whyMute(link);
    if (why !== undefined) return { why };
    const question = {
      target: parseAddress(target),
      ignoresSearches,
      timing,
      ...(from === undefined ? {} : { from: parseAddress(from) }),
    };
    const probe = new Probe(question, Buffer.from(link.mac.replaceAll(':', ''), 'hex'), performance.now());
    const socket = openSocket(calls, namespace, link.ifIndex, question.target, probe.frame);
    return { probe, socket, carrier: lookForCarrier(namespace.netlink(), link.ifIndex) };
  });
}

const lookForCarrier = (pod: NetlinkSocket, ifIndex: number): CarrierLook => ({
  isThere: () => (pod.get('RTM_GETLINK', getLink({ ifIndex })).body.readUInt32LE(8) & IFF_LOWER_UP) !== 0,
  close: () => pod.close(),
});

function hasCarrier(one: OpenProbe): boolean {
  if (one.carrier?.isThere() === false) return false;
  one.carrier?.close();
  one.carrier = undefined;
  return true;
}

/** A socket that hears frames of the probe's own kind, on its own link. */
function openSocket(
  calls: SystemCalls,
  namespace: NetworkNamespace,
  ifIndex: number,
  target: Uint8Array,
  frame: Buffer,
): number {
  const socket = namespace.socket(AF_PACKET, SOCK_RAW, 0); // protocol 0: it hears nothing of other links before it is bound
  try {
    for (const mac of target.length === 4 ? [] : groupsOfSearch(target)) {
      calls.setsockopt(socket, SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership(ifIndex, mac));
    }
    calls.bind(socket, linkLayerAddress(ifIndex, frame));
    return socket;
  } catch (error) {
    calls.close(socket);
    throw error;
  }
}

/** struct packet_mreq, include/uapi/linux/if_packet.h */
function membership(ifIndex: number, mac: Uint8Array): Buffer {
  const request = Buffer.alloc(16);
  request.writeInt32LE(ifIndex, 0);
  request.writeUInt16LE(PACKET_MR_MULTICAST, 4);
  request.writeUInt16LE(mac.length, 6);
  request.set(mac, 8);
  return request;
}

const linkDead = (ifName: string): ProvisionError =>
  new ProvisionError({
    type: 'ParentLinkMissing',
    message: `Cannot ask the neighbours of "${ifName}": it has sent nothing for 2 seconds, as without carrier`,
    remedy: 'Look at the link underneath on the node (ip link show: NO-CARRIER), its cable and its switch',
  });
