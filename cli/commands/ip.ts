import { type Address, formatAddress, parseAddress, toClaimName } from '../../ipam/address.ts';
import { createSuspectReader } from '../../kube/suspect-reader.ts';
import { addressPage, renderAddress } from '../address-page.ts';
import { notFound, usageError } from '../cli-error.ts';
import { type Cluster, openCluster } from '../cluster.ts';
import type { RunSummary } from '../explanation.ts';
import { openTemporal } from '../temporal-runs.ts';
import { wallClock } from '../wall-clock.ts';
import { type OutputFormat, type Terminal, toJSON } from './terminal.ts';

export interface IpOptions {
  readonly kubeconfig?: string;
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  readonly output: OutputFormat;
}

/** `orb ip ADDRESS`: who has it by the claims, who had it by the runs, and whether the two agree. */
export async function ip(text: string, options: IpOptions, terminal: Terminal): Promise<void> {
  const address = parseAddress(text);
  if (address === undefined) {
    throw usageError(`"${text}" is not an address`, 'Without prefix length: orb ip 10.70.8.20, orb ip fd00:70::8:14');
  }
  const past = readRuns(address, options);
  const cluster = await openCluster(options.kubeconfig);
  try {
    const page = addressPage(address, { ...(await readPresent(address, cluster)), ...(await past) });
    if (page.claim === undefined && page.pools.length === 0 && !page.runs?.length) {
      throw notFound(`No pool contains ${page.address}, and nobody is known to have had it`, 'Pools: orb pools');
    }
    if (options.output === 'json') return terminal.print(toJSON(page));
    terminal.print(renderAddress(page, wallClock(Date.now()), terminal.paint, terminal.columns));
  } finally {
    await cluster.close();
  }
}

async function readPresent(address: Address, cluster: Cluster) {
  const [claim, pools, reservations] = await Promise.all([
    cluster.claim(toClaimName(address)),
    cluster.pools(),
    cluster.reservations(),
  ]);
  const holders = claim?.spec.holders ?? [];
  const withoutPod = await cluster.asking('pods', async (api) => {
    const { pods } = createSuspectReader(api);
    const looks = holders.map(async ({ namespace, pod: name, podUID: uid }) =>
      (await pods.isThere({ namespace, name, uid })) ? [] : [`${namespace}/${name}`],
    );
    return (await Promise.all(looks)).flat();
  });
  return { claim, pools, reservations, withoutPod };
}

/** The claim tells who has it; without Temporal it is told without the past. */
async function readRuns(
  address: Address,
  { temporalAddress, temporalNamespace }: IpOptions,
): Promise<{ readonly runs?: readonly RunSummary[]; readonly warnings: readonly string[] }> {
  try {
    const temporal = await openTemporal({ address: temporalAddress, namespace: temporalNamespace });
    try {
      return { runs: await temporal.runsWith(formatAddress(address)), warnings: [] };
    } finally {
      await temporal.close();
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { warnings: [`Who had it is not shown. ${why}`] };
  }
}
