import type { IPClaim } from '../contracts/crds/ipclaim.ts';
import type { ClaimPhase } from '../contracts/ip-claim.ts';
import { parseIdentity } from '../ipam/sticky-identity.ts';
import type { ApiClient } from './api-client.ts';
import type { Log } from './log.ts';
import { ObjectFeed } from './object-feed.ts';
import type { ListedClaim } from './suspect-reader.ts';

/** What the views need of a claim: everything else stays at the API server. */
export interface ClaimRow {
  /** With prefix length. */
  readonly address: string;
  readonly pool: string;
  readonly phase: ClaimPhase;
  /** Unix time. */
  readonly createdAtSeconds: number;
  /** What it sticks to, if it does. */
  readonly identity?: string;
  readonly holders: readonly HolderRow[];
}

export interface HolderRow {
  /** Namespace/name of the pod; of a KubeVirt machine its own, whose pods come and go. */
  readonly pod: string;
  readonly podUID: string;
  /** Name of a machine's pod. */
  readonly podName?: string;
  readonly interface: string;
  readonly node: string;
  readonly containerID: string;
}

/** Pools, and pods and IPAMClaims as namespace/name, of which a claim came, changed or went. */
export interface Concerned {
  readonly pools: readonly string[];
  readonly pods: readonly string[];
  readonly ipamClaims: readonly string[];
}

/** All claims of the cluster, and which of them a pool, a pod or an IPAMClaim has. 0.8 KB each. */
export class ClaimFeed {
  readonly #feed: ObjectFeed<IPClaim, ClaimRow>;
  readonly #byPool = new Map<string, Set<ClaimRow>>();
  /** Arrays: a pod has one claim or a few, and a set would cost as much as the row. */
  readonly #byPod = new Map<string, readonly ClaimRow[]>();
  readonly #byIPAMClaim = new Map<string, readonly ClaimRow[]>();
  readonly #words = new Map<string, string>();
  readonly #listeners = new Set<(concerned: Concerned) => void>();

  constructor(options: { readonly api: ApiClient; readonly log: Log }) {
    this.#feed = new ObjectFeed({
      api: options.api,
      log: options.log,
      path: '/apis/orbweaver.io/v1alpha1/ipclaims',
      rowOf: (claim: IPClaim) => this.#rowOf(claim),
      onChange: (_name, before, after) => {
        const rows = [before, after].filter((row) => row !== undefined);
        const concerned: Concerned = {
          pools: unique(rows.map(({ pool }) => pool)),
          pods: unique(rows.flatMap(podsOf)),
          ipamClaims: unique(rows.flatMap(ipamClaimsOf)),
        };
        if (before) this.#remove(before);
        if (after) this.#add(after);
        for (const listener of this.#listeners) listener(concerned);
      },
    });
  }

  /** Tells of every change from now on, until the given function is called. */
  subscribe(listener: (concerned: Concerned) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** False while list and watch are interrupted: then all of this may be old. */
  get isWatching(): boolean {
    return this.#feed.isWatching;
  }

  /** Resolves when all claims that there are were seen once. */
  get listed(): Promise<void> {
    return this.#feed.listed;
  }

  /** Resolves when all claims are known as they are now: at once while a watch says so. */
  refresh(): Promise<void> {
    return this.#feed.refresh();
  }

  follow(signal: AbortSignal): Promise<void> {
    return this.#feed.follow(signal);
  }

  ofPool(pool: string): ReadonlySet<ClaimRow> {
    return this.#byPool.get(pool) ?? noClaims;
  }

  /** @param pod Namespace/name. */
  ofPod(pod: string): readonly ClaimRow[] {
    return this.#byPod.get(pod) ?? nothing;
  }

  /** Every pod that holds a claim, as namespace/name. */
  pods(): Iterable<string> {
    return this.#byPod.keys();
  }

  /** @param ipamClaim Namespace/name. */
  ofIPAMClaim(ipamClaim: string): readonly ClaimRow[] {
    return this.#byIPAMClaim.get(ipamClaim) ?? nothing;
  }

  /** Every IPAMClaim that addresses stick to, as namespace/name. */
  ipamClaims(): Iterable<string> {
    return this.#byIPAMClaim.keys();
  }

  /** Whether there is a claim of this name. */
  has(name: string): boolean {
    return this.#feed.rows.has(name);
  }

  /** Every claim as a list of names would show it. */
  names(): readonly ListedClaim[] {
    return Array.from(this.#feed.rows, ([name, row]) => listedClaim(name, row));
  }

  /** One for each claim. */
  *phases(): Iterable<ClaimPhase> {
    for (const { phase } of this.#feed.rows.values()) yield phase;
  }

  #add(row: ClaimRow): void {
    const rows = this.#byPool.get(row.pool);
    if (rows) rows.add(row);
    else this.#byPool.set(row.pool, new Set([row]));
    for (const pod of podsOf(row)) addTo(this.#byPod, pod, row);
    for (const claim of ipamClaimsOf(row)) addTo(this.#byIPAMClaim, claim, row);
  }

  #remove(row: ClaimRow): void {
    const rows = this.#byPool.get(row.pool);
    rows?.delete(row);
    if (rows?.size === 0) this.#byPool.delete(row.pool);
    for (const pod of podsOf(row)) removeFrom(this.#byPod, pod, row);
    for (const claim of ipamClaimsOf(row)) removeFrom(this.#byIPAMClaim, claim, row);
  }

  #rowOf({ metadata, spec }: IPClaim): ClaimRow {
    const identity = spec.identity === undefined ? undefined : parseIdentity(spec.identity);
    const machine = identity?.kind === 'VirtualMachineInstance' ? identity : undefined;
    return {
      address: spec.address,
      pool: this.#word(spec.pool),
      phase: spec.phase,
      createdAtSeconds: Date.parse(metadata.creationTimestamp ?? '') / 1000,
      ...(spec.identity === undefined ? {} : { identity: spec.identity }),
      holders: spec.holders.map(({ namespace, pod, podUID, interface: nic, node, containerID }) => ({
        pod: [namespace, machine?.name ?? pod].join('/'), // a flat string: a template would keep its parts, too
        podUID,
        ...(machine && { podName: pod }),
        interface: this.#word(nic),
        node: this.#word(node),
        containerID,
      })),
    };
  }

  /** One string for all claims that say the same. */
  #word(text: string): string {
    const known = this.#words.get(text);
    if (known === undefined) this.#words.set(text, text);
    return known ?? text;
  }
}

function listedClaim(name: string, { phase, pool, identity = '', holders: [holder] }: ClaimRow): ListedClaim {
  const [namespace = '', ownName = ''] = holder?.pod.split('/') ?? [];
  return {
    name,
    phase,
    pool,
    identity,
    node: holder?.node ?? '',
    pod: { namespace, name: holder?.podName ?? ownName, uid: holder?.podUID ?? '' },
    containerID: holder?.containerID ?? '',
  };
}

const podsOf = ({ holders }: ClaimRow): readonly string[] => holders.map(({ pod }) => pod);

function ipamClaimsOf({ identity = '' }: ClaimRow): readonly string[] {
  const found = parseIdentity(identity);
  return found?.kind === 'IPAMClaim' ? [`${found.namespace}/${found.name}`] : [];
}

const unique = (keys: readonly string[]): readonly string[] => [...new Set(keys)];

function addTo(index: Map<string, readonly ClaimRow[]>, key: string, row: ClaimRow): void {
  index.set(key, [...(index.get(key) ?? nothing), row]);
}

function removeFrom(index: Map<string, readonly ClaimRow[]>, key: string, row: ClaimRow): void {
  const left = (index.get(key) ?? nothing).filter((other) => other !== row);
  if (left.length > 0) index.set(key, left);
  else index.delete(key);
}

const nothing: readonly ClaimRow[] = [];
const noClaims: ReadonlySet<ClaimRow> = new Set();
