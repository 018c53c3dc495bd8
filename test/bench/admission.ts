import { formatAddress } from '../../ipam/address.ts';
import type { ApiClient } from '../../kube/api-client.ts';
import { quantile } from './statistics.ts';

/** How long the API server takes to create a pool, both webhooks included, by how its addresses are written down. */
export interface AdmissionFigures {
  /** Other pools that are there. */
  readonly neighbours: number;
  /** Of each kind of pool, one after the other. */
  readonly tries: number;
  readonly kinds: readonly AdmissionKind[];
}

export interface AdmissionKind {
  readonly name: string;
  readonly p50Ms: number;
  /** The quickest one: what it takes when nobody else uses the machine. */
  readonly minMs: number;
  readonly p99Ms: number;
}

export interface AdmissionPlan {
  readonly neighbours: number;
  readonly tries: number;
}

type PoolSpec = { readonly subnet: string; readonly ips: readonly string[] };

const poolsPath = '/apis/spiderpool.spidernet.io/v2beta1/spiderippools';
const whole = 65_536;
/** JavaScript gets fast by running. */
const warmUpTurns = 3;

/** Every pool has a subnet of its own, so that none waits for the end of another. */
const subnetOf = (family: 4 | 6, index: number): { readonly subnet: string; readonly at: (host: number) => string } => {
  const base = family === 4 ? BigInt(0x0c00_0000 + index * whole) : 0xfd00_0076_0000_0000n + BigInt(index);
  const first = family === 4 ? base : base << 64n;
  const at = (host: number): string => formatAddress({ family, value: first + BigInt(host) });
  return { subnet: `${at(0)}/${family === 4 ? 16 : 64}`, at };
};
const numbers = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

/** The pools that are compared, each made anew for every try; the first one is what a pool takes in any case. */
export const admissionKinds: Readonly<Record<string, (index: number) => PoolSpec>> = {
  'one address': (index) => {
    const { subnet, at } = subnetOf(4, index);
    return { subnet, ips: [at(1)] };
  },
  '65,536 addresses, one range': (index) => {
    const { subnet, at } = subnetOf(4, index);
    return { subnet, ips: [`${at(0)}-${at(whole - 1)}`] };
  },
  '65,536 addresses, 256 ranges': (index) => {
    const { subnet, at } = subnetOf(4, index);
    return { subnet, ips: numbers(256).map((part) => `${at(part * 256)}-${at(part * 256 + 255)}`) };
  },
  '65,536 addresses, one by one': (index) => {
    const { subnet, at } = subnetOf(4, index);
    return { subnet, ips: numbers(whole).map(at) };
  },
  '65,536 IPv6 addresses, one by one': (index) => {
    const { subnet, at } = subnetOf(6, index);
    return { subnet, ips: numbers(whole).map(at) };
  },
};

/** Measures on a cluster whose webhooks answer. The kinds take turns. */
export async function measureAdmission(
  api: ApiClient,
  { neighbours, tries }: AdmissionPlan,
  onProgress: (fact: string) => void,
): Promise<AdmissionFigures> {
  const create = async (name: string, spec: PoolSpec): Promise<number> => {
    const body = { apiVersion: 'spiderpool.spidernet.io/v2beta1', kind: 'SpiderIPPool', metadata: { name }, spec };
    const startedAt = performance.now();
    await api.request({ method: 'POST', path: poolsPath, body, timeoutMs: 30_000 });
    return performance.now() - startedAt;
  };
  for (const index of numbers(neighbours)) {
    await create(`neighbour-${index}`, { subnet: `13.0.${index}.0/24`, ips: [`13.0.${index}.1-13.0.${index}.250`] });
  }
  const kinds = Object.entries(admissionKinds);
  const took = new Map(kinds.map(([kind]) => [kind, [] as number[]]));
  for (const turn of numbers(warmUpTurns + tries)) {
    for (const [place, [kind, specOf]] of kinds.entries()) {
      const index = turn * kinds.length + place;
      const ms = await create(`admitted-${index}`, specOf(index));
      if (turn >= warmUpTurns) took.get(kind)?.push(ms);
      await api.request({ method: 'DELETE', path: `${poolsPath}/admitted-${index}`, timeoutMs: 30_000 });
    }
  }
  const figures = [...took].map(([name, all]) => ({
    name,
    p50Ms: quantile(all, 0.5),
    minMs: Math.min(...all),
    p99Ms: quantile(all, 0.99),
  }));
  onProgress(
    `admission: ${figures.map(({ name, p50Ms, minMs }) => `${name} ${p50Ms.toFixed(0)} ms (${minMs.toFixed(0)})`).join(', ')}`,
  );
  return { neighbours, tries, kinds: figures };
}
