import { networkOf } from '../ip-prefix.ts';

/** The CIDRs of one kind of address, and where they were found; or why nobody knows them. */
export type CidrList =
  | { readonly outcome: 'known'; readonly cidrs: readonly string[]; readonly source: string }
  | { readonly outcome: 'unknown'; readonly why: string };

export const unknown = (why: string): CidrList => ({ outcome: 'unknown', why });

/**
 * Reads what one source says: texts of one CIDR, or of several with commas or blanks between them. Host bits become zero, what
 * comes twice counts once, the order stays. One that cannot be read makes the list unknown: a route would be missing, unnoticed.
 *
 * @param source Where the texts come from, as a person looks for it: "ConfigMap kube-system/kubeadm-config".
 */
export function cidrList(source: string, texts: readonly string[]): CidrList {
  const cidrs = new Set<string>();
  for (const text of texts.flatMap((list) => list.split(/[\s,]+/)).filter((word) => word !== '')) {
    const network = text.includes('/') ? readNetwork(text) : undefined;
    if (network === undefined) return unknown(`"${text}" in ${source} is not a CIDR`);
    if (network.endsWith('/0')) return unknown(`"${text}" in ${source} is everything`); // the node would have every packet
    cidrs.add(network);
  }
  return { outcome: 'known', cidrs: [...cidrs], source };
}

function readNetwork(text: string): string | undefined {
  try {
    return networkOf(text);
  } catch {
    return undefined;
  }
}
