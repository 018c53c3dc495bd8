import type { ObjectMeta } from '../../../contracts/crds/object-meta.ts';
import type { SpiderIPPool } from '../../../contracts/crds/spiderippool.ts';
import type { SpiderSubnet } from '../../../contracts/crds/spidersubnet.ts';
import type { Verdict } from '../verdict.ts';
import type { AdmissionWorld } from '../world.ts';

/** A pool as a user writes it. Fields may be wrong on purpose. */
export const pool = (spec: object, metadata: object = {}): SpiderIPPool => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderIPPool',
  metadata: metadataOf('p', metadata),
  spec: spec as SpiderIPPool['spec'],
});

export const subnet = (spec: object, metadata: object = {}, status: SpiderSubnet['status'] = {}): SpiderSubnet => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderSubnet',
  metadata: metadataOf('s', metadata),
  spec: spec as SpiderSubnet['spec'],
  status,
});

export const reserved = (spec: object, metadata: object = {}): object => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderReservedIP',
  metadata: metadataOf('r', metadata),
  spec,
});

export const coordinator = (spec: object, metadata: object = {}): object => ({
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderCoordinator',
  metadata: metadataOf('default', metadata),
  spec,
});

const metadataOf = (name: string, metadata: object): ObjectMeta => ({
  name,
  uid: `uid-of-${'name' in metadata ? String(metadata.name) : name}`,
  generation: 1,
  ...metadata,
});

/** A cluster with both families and nothing in it, asked by a user. */
export const world = ({
  settings,
  ...rest
}: Partial<Omit<AdmissionWorld, 'settings'>> & {
  readonly settings?: Partial<AdmissionWorld['settings']>;
} = {}): AdmissionWorld => ({
  settings: { families: [4, 6], subnets: true, refusesDeletionInUse: false, ...settings },
  pools: [],
  subnets: [],
  user: 'kubernetes-admin',
  controlWorker: 'system:serviceaccount:orbweaver-system:orbweaver-control',
  ...rest,
});

/** The message of a denial with its status, "allowed", or "allowed: " and the warnings. */
export const said = (verdict: Verdict): string => {
  if (verdict.outcome === 'denied') return `${verdict.status} ${verdict.message}`;
  return ['allowed', ...verdict.warnings].join(': ');
};
