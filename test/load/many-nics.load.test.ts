import { beforeAll, describe, expect, it } from '@jest/globals';
import { underlayPool } from '../../deploy/dev/cluster.ts';
import { callForNics, nicNames } from '../fleet/many-nics.ts';
import { untilConsistent, untilNothingIsLeft } from './at-rest.ts';
import { loadFleet } from './load-fleet.ts';
import { loadSize } from './load-size.ts';

const fleet = loadFleet(underlayPool('v4', 4, ['10.70.8.1-10.70.15.250']));
const nics = nicNames(8);

beforeAll(async () => {
  // The rule of a node serves all its pods and stays: it is there before anything is compared.
  await fleet().untilCoordinatorSynced();
  const first = await fleet().pods(fleet().nodes.length);
  await callForNics('ADD', first, ['eth0'], 1);
  await fleet().deletePods(first);
  await callForNics('DEL', first, ['eth0'], 1);
  for (const pod of first) await pod.removeNamespace();
  await fleet().cluster.remember();
}, 120_000);

describe('pods with eight interfaces each, all tied to their node', () => {
  it('get each of them with an address of its own, all at once, and leave nothing', async () => {
    const pods = await fleet().pods(loadSize(6));
    const added = await callForNics('ADD', pods, nics, pods.length);
    expect(added.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
    expect(added).toHaveLength(pods.length * nics.length);

    const given = added.flatMap(({ pod, body }) =>
      (body?.ips ?? []).map(({ address }) => `${pod.containerID} ${address}`),
    );
    const seen = await Promise.all(fleet().nodes.map((node) => node.addresses()));
    const inside = seen.flat().flatMap(({ containerID, addresses }) => addresses.map((one) => `${containerID} ${one}`));
    expect(inside.toSorted()).toEqual(given.toSorted());
    expect(new Set(given.map((line) => line.split(' ')[1])).size).toBe(added.length);
    await untilConsistent(fleet(), 30);

    const checked = await callForNics('CHECK', pods, nics, 2);
    expect(checked.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);

    await fleet().deletePods(pods);
    const deleted = await callForNics('DEL', pods, nics, pods.length);
    expect(deleted.filter(({ exitCode }) => exitCode !== 0)).toEqual([]);
    for (const node of fleet().nodes) await node.removeNamespaces(pods.filter((pod) => pod.node === node));
    await untilNothingIsLeft(fleet());
  }, 600_000);
});
