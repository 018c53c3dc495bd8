import type { ProbeTiming } from '../contracts/probing.ts';
import type { ObservedLink } from '../network/observed-namespace.ts';
import { arpRequest, readArp, unspecifiedIPv4 } from './arp-frame.ts';
import { formatMac } from './link-message.ts';
import { isUnspecified, neighbourSolicitation, readNeighbourMessage, unspecifiedIPv6 } from './ndp-frame.ts';

/** Whom to ask for on one link. */
export interface ProbeQuestion {
  /** The address whose owner is looked for. Network byte order: 4 or 16 bytes. */
  readonly target: Uint8Array;
  /** Our own address, which asks for a gateway. Absent: a search for duplicates, by somebody who has no address yet. */
  readonly from?: Uint8Array;
  /** Who looks for the same address just now does not count as having it. */
  readonly ignoresSearches?: boolean;
  readonly timing: ProbeTiming;
}

/** How long a link may refuse to send before it counts as dead: a device that was just brought up needs a moment. */
const mostUnsentMs = 2000;
const unsentPauseMs = 20;

/**
 * One question to the neighbours of a link: what is sent when, and which frame is its answer. Knows no socket and no clock, so
 * times come in as milliseconds of the caller's clock.
 *
 * Of a duplicate every packet tells that has the address as its sender, and every search of somebody else for the same one
 * (RFC 5227 §2.1.1, RFC 4862 §5.4.3). What carries our own MAC is our own, come back.
 */
export class Probe {
  /** What is sent, each time the same. */
  readonly frame: Buffer;
  readonly #question: ProbeQuestion;
  readonly #mac: Uint8Array;
  readonly #hearsSearches: boolean;
  #sent = 0;
  #nextAtMs: number;
  #unsentSinceMs: number | undefined;

  constructor(question: ProbeQuestion, mac: Uint8Array, nowMs: number) {
    const { target, from } = question;
    this.#question = question;
    this.#hearsSearches = from === undefined && question.ignoresSearches !== true;
    this.#mac = mac;
    this.#nextAtMs = nowMs;
    this.frame =
      target.length === 4
        ? arpRequest(mac, from ?? unspecifiedIPv4, target)
        : neighbourSolicitation(mac, from ?? unspecifiedIPv6, target);
  }

  /** When `next` has something to do again. */
  get nextAtMs(): number {
    return this.#nextAtMs;
  }

  /** `end`: all was sent, and the time for an answer is over. `dead`: the link has refused to send all the time. */
  next(nowMs: number): 'send' | 'wait' | 'end' | 'dead' {
    if (this.#unsentSinceMs !== undefined && nowMs - this.#unsentSinceMs > mostUnsentMs) return 'dead';
    if (nowMs < this.#nextAtMs) return 'wait';
    return this.#sent < this.#question.timing.tries ? 'send' : 'end';
  }

  sent(nowMs: number): void {
    const { tries, intervalMs, waitMs } = this.#question.timing;
    this.#sent += 1;
    this.#unsentSinceMs = undefined;
    this.#nextAtMs = nowMs + (this.#sent < tries ? intervalMs : waitMs);
  }

  notSent(nowMs: number): void {
    this.#unsentSinceMs ??= nowMs;
    this.#nextAtMs = nowMs + unsentPauseMs;
  }

  /** The MAC of whoever answers, if this frame is an answer. */
  heard(frame: Buffer): string | undefined {
    const said = this.#question.target.length === 4 ? this.#saidByArp(frame) : this.#saidByNeighbour(frame);
    return said === undefined || same(said, this.#mac) ? undefined : formatMac(said);
  }

  #saidByArp(frame: Buffer): Uint8Array | undefined {
    const arp = readArp(frame);
    if (arp === undefined) return undefined;
    const { target } = this.#question;
    const isSearch = arp.isRequest && same(arp.sender, unspecifiedIPv4) && same(arp.target, target);
    return same(arp.sender, target) || (this.#hearsSearches && isSearch) ? arp.senderMac : undefined;
  }

  #saidByNeighbour(frame: Buffer): Uint8Array | undefined {
    const message = readNeighbourMessage(frame);
    if (message === undefined || !same(message.target, this.#question.target)) return undefined;
    const isSearch = message.kind === 'solicitation' && isUnspecified(message.sender);
    const isAnswer = message.kind === 'advertisement' || (this.#hearsSearches && isSearch);
    return isAnswer ? message.senderMac : undefined;
  }
}

/** Why nobody can be asked through a link; undefined when they can. */
export function whyMute({ ifName, kind, isLoopback, isEthernet }: ObservedLink): string | undefined {
  if (isLoopback || !isEthernet) return `"${ifName}" carries no Ethernet`;
  // Answers to its MAC go to whichever ipvlan has the address that they are for, and a search has none.
  if (kind === 'ipvlan' || kind === 'ipvtap') return `"${ifName}" is an ${kind}, which shares its MAC with others`;
  return undefined;
}

const same = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;
