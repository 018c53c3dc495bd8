import type { Family } from '../address.ts';
import { type AutomaticPool, applicationKey } from '../automatic-pool.ts';
import type { IntervalSet } from '../interval-set.ts';
import type { Application, Labels } from '../pool-request.ts';
import { readSubnetWish } from '../subnet-annotation.ts';
import { desiredSize } from './desired-size.ts';
import { labelText, type PoolOwner } from './pool-identity.ts';

/** Whose pool, before anybody has looked whether the application is there. */
export interface PoolSubject extends Omit<Application, 'uid'> {
  readonly ifName: string;
  readonly family: Family;
}

/** An application as it is. */
export interface SeenApplication {
  readonly uid: string;
  /** Of its pods. */
  readonly annotations: Labels;
  /** Absent: nobody can say. */
  readonly replicas?: number;
}

/** The pool that an application should have. */
export interface PoolWish {
  readonly owner: PoolOwner;
  /** Name of the SpiderSubnet. */
  readonly subnet: string;
  readonly size: number;
  /** As the pool's annotation says it: "4", "+2". */
  readonly sizeText: string;
  readonly isReclaimed: boolean;
}

export type WishReading =
  | { readonly outcome: 'wish'; readonly wish: PoolWish }
  | { readonly outcome: 'none' }
  /** One sentence, or several. */
  | { readonly outcome: 'refused'; readonly problem: string };

/** What an application wishes for one NIC and family. `surplus`: see `desiredSize`. */
export function wishOf(subject: PoolSubject, application: SeenApplication | undefined, surplus: number): WishReading {
  if (application === undefined) return { outcome: 'none' };
  const reading = readSubnetWish(application.annotations);
  if (reading.outcome === 'absent') return { outcome: 'none' };
  if (reading.outcome === 'refused') {
    const { message, remedy } = reading.failure;
    return { outcome: 'refused', problem: remedy === undefined ? message : `${message}. ${remedy}` };
  }
  const { nics, size: wanted, isReclaimed } = reading.wish;
  const { ifName, family, ...identity } = subject;
  const subnet = nics.find((nic) => nic.ifName === ifName)?.subnets[family];
  if (subnet === undefined) return { outcome: 'none' };
  const size = desiredSize(wanted, application.replicas, surplus);
  if (size.outcome === 'refused') {
    return {
      outcome: 'refused',
      problem: `No pool for ${identity.kind} ${identity.namespace}/${identity.name}: ${size.problem}`,
    };
  }
  const sizeText = wanted?.kind === 'fixed' ? String(wanted.count) : `+${wanted?.count ?? surplus}`;
  const owner = { application: { ...identity, uid: application.uid }, ifName, family };
  return { outcome: 'wish', wish: { owner, subnet, size: size.size, sizeText, isReclaimed } };
}

/** An automatic pool as far as its fate is decided. */
export interface SeenPool {
  readonly name: string;
  readonly made: AutomaticPool;
  readonly addresses: IntervalSet;
  readonly isTerminating: boolean;
  readonly sizeText: string;
}

export interface Assignment<Pool extends SeenPool> {
  /** Serves the wish, perhaps after a change. */
  readonly serving?: Pool;
  /** To be removed as soon as nobody has an address of theirs. */
  readonly leaving: readonly Pool[];
  /** Kept for an application of this name and kind that may come back. */
  readonly staying: readonly Pool[];
}

/**
 * Which of an application's pools serves its wish, and what becomes of the others (spec/ipam.md §6.4). A kept pool is taken over by
 * the next application of the same name and kind; one that goes with its application is not, even if it has not gone yet.
 */
export function assignPools<Pool extends SeenPool>(
  wish: PoolWish | undefined,
  pools: readonly Pool[],
): Assignment<Pool> {
  const uid = wish?.owner.application.uid;
  const subnet = wish && labelText(wish.subnet);
  const serves = ({ made, isTerminating }: Pool): boolean =>
    !isTerminating && made.subnet === subnet && (made.applicationUID === uid || !made.isReclaimed);
  const rank = ({ made }: Pool): number => (made.applicationUID === uid ? 1 : 0);
  const inOrder = pools.toSorted((a, b) => rank(b) - rank(a) || (a.name < b.name ? -1 : 1));
  const serving = inOrder.find(serves);
  const others = inOrder.filter((pool) => pool !== serving);
  return {
    ...(serving && { serving }),
    leaving: others.filter(({ made, isTerminating }) => made.isReclaimed || isTerminating),
    staying: others.filter(({ made, isTerminating }) => !made.isReclaimed && !isTerminating),
  };
}

/** The pool is what the wish says, so that nothing is to be written. */
export const fulfils = ({ owner, size, sizeText, isReclaimed }: PoolWish, pool: SeenPool): boolean =>
  pool.addresses.size === BigInt(size) &&
  pool.sizeText === sizeText &&
  pool.made.isReclaimed === isReclaimed &&
  pool.made.applicationUID === owner.application.uid;

/** Nothing is to be done for this application, NIC and family: what goes already needs nobody. */
export function isSettled(reading: WishReading, pools: readonly SeenPool[]): boolean {
  if (reading.outcome === 'refused') return false;
  const wish = reading.outcome === 'wish' ? reading.wish : undefined;
  const { serving, leaving } = assignPools(wish, pools);
  return (
    leaving.every(({ isTerminating }) => isTerminating) &&
    (wish === undefined || (serving !== undefined && fulfils(wish, serving)))
  );
}

/** One text for each application, NIC and family: "Deployment/pay/api/eth0/4", of another group than apps and batch "CloneSet.apps.kruise.io/…". */
export function subjectKey({ apiVersion, kind, namespace, name, ifName, family }: PoolSubject): string {
  const [, group = ''] = apiVersion.split('/').toReversed();
  const kindKey = ['', 'apps', 'batch'].includes(group) ? kind : `${kind}.${group}`;
  return [namespace, kindKey, name, ifName, family].join('/');
}

/** Whose pool this is. */
export const subjectOf = ({ application, ifName }: AutomaticPool, family: Family): PoolSubject => ({
  ...application,
  ifName,
  family,
});

/** Whether a pool was made for this application, NIC and family, whichever incarnation of it. */
export const isPoolOf = (
  pool: { readonly made: AutomaticPool; readonly family: Family },
  { ifName, family, ...application }: PoolSubject,
): boolean =>
  pool.family === family &&
  pool.made.ifName === ifName &&
  applicationKey(pool.made.application) === applicationKey(application);
