import { makeServingPair, type ServingPair, servesUntilMs } from './serving-pair.ts';

/** The certificates that all replicas share. */
export interface KeptCertificates {
  readonly current: ServingPair;
  /** Trusted from when it was made, and served once every API server has had the time to learn that. */
  readonly next?: ServingPair;
  /** Of the certificate before: another replica may serve it for some seconds still. */
  readonly previousAuthority?: string;
}

export interface RenewalOptions {
  /** By what the server is called now; it may have been called otherwise when a certificate was made. */
  readonly hosts: readonly string[];
  /** Unix time. */
  readonly nowMs: number;
  /** Somebody wants a new certificate before it is time. */
  readonly isAsked?: boolean;
}

const dayMs = 86_400_000;
const lifetimeMs = 90 * dayMs;
/** Two thirds are over. */
const renewBeforeMs = 30 * dayMs;

/**
 * The certificates as they should be kept: the same object while they are good. One that cannot be served any more is replaced at
 * once, because nothing is lost by that; one that soon cannot gets a successor, which is trusted beside it.
 */
export async function renewed(
  kept: KeptCertificates | undefined,
  { hosts, nowMs, isAsked = false }: RenewalOptions,
): Promise<KeptCertificates> {
  const leftMs = ({ certificate }: ServingPair): number => servesUntilMs(certificate, hosts) - nowMs;
  const make = (): Promise<ServingPair> => makeServingPair({ hosts, nowMs, lifetimeMs });
  if (kept === undefined) return { current: await make() };
  const { current, next } = kept;
  if (leftMs(current) <= 0) return { current: await make(), previousAuthority: current.authority };
  const isGood = next === undefined ? !isAsked && leftMs(current) > renewBeforeMs : leftMs(next) > renewBeforeMs;
  return isGood ? kept : { ...kept, next: await make() };
}

/** The next certificate becomes the one that is served. */
export const withNextServed = (current: ServingPair, next: ServingPair): KeptCertificates => ({
  current: next,
  previousAuthority: current.authority,
});

/** Everything that the API server should trust now, PEM. */
export const trusted = ({ current, next, previousAuthority }: KeptCertificates): string =>
  [current.authority, next?.authority, previousAuthority].filter((authority) => authority !== undefined).join('');
