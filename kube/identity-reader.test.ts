import { describe, expect, it } from '@jest/globals';
import type { ApiClient, ApiRequest } from './api-client.ts';
import { ApiError, ApiUnreachable } from './api-error.ts';
import { createIdentityReader } from './identity-reader.ts';

const everything = { stickyStatefulSets: true, stickyVirtualMachines: true };
const statefulSets = '/apis/apps/v1/namespaces/pay/statefulsets';
const machines = '/apis/kubevirt.io/v1/namespaces/pay/virtualmachines';
const instances = '/apis/kubevirt.io/v1/namespaces/pay/virtualmachineinstances';

/** An API server that answers as told; what it is not told does not exist. */
function serverOf(answers: Readonly<Record<string, object | Error>>): { api: ApiClient; asked: string[] } {
  const asked: string[] = [];
  const api: ApiClient = {
    async request<Answer>({ path }: ApiRequest): Promise<Answer> {
      asked.push(path);
      const answer = answers[path] ?? new ApiError({ request: path, status: 404, reason: 'NotFound', detail: path });
      if (answer instanceof Error) throw answer;
      return answer as Answer;
    },
    // oxlint-disable-next-line require-yield -- identities are not watched
    async *watch<Event>(): AsyncIterable<Event> {
      throw new Error('identities are not watched');
    },
    close: async () => undefined,
  };
  return { api, asked };
}
const statesOf = async (
  answers: Readonly<Record<string, object | Error>>,
  identities: readonly string[],
  settings = everything,
): Promise<{ readonly told: readonly string[]; readonly asked: readonly string[] }> => {
  const { api, asked } = serverOf(answers);
  const states = await createIdentityReader(api, settings, 100).states(identities);
  const told = identities.map((identity) => {
    const found = states.get(identity) ?? { state: 'silent' };
    return 'why' in found ? `${found.state}: ${found.why}` : found.state;
  });
  return { told, asked };
};

describe('the state of identities', () => {
  it('costs one read for a StatefulSet, however many of its ordinals are asked for', async () => {
    const { told, asked } = await statesOf({ [`${statefulSets}/api`]: { metadata: {}, spec: { replicas: 2 } } }, [
      'StatefulSet/pay/api/0',
      'StatefulSet/pay/api/1',
      'StatefulSet/pay/api/2',
      'StatefulSet/pay/gone/0',
    ]);
    expect(told).toEqual([
      'wanted',
      'wanted',
      'ended: StatefulSet pay/api has the ordinals 0 to 1 only',
      'ended: StatefulSet pay/gone does not exist',
    ]);
    expect(asked.toSorted()).toEqual([`${statefulSets}/api`, `${statefulSets}/gone`]);
  });

  it('of machines goes by instance and VirtualMachine', async () => {
    const { told } = await statesOf(
      { [`${instances}/runs`]: { metadata: {} }, [`${machines}/stopped`]: { metadata: {} } },
      ['runs', 'stopped', 'gone'].map((name) => `VirtualMachineInstance/pay/${name}`),
    );
    expect(told).toEqual(['wanted', 'wanted', 'ended: VirtualMachine pay/gone does not exist']);
  });

  it.each<[string, Error, RegExp]>([
    [
      'may not be read',
      new ApiError({ request: 'x', status: 403, reason: 'Forbidden', detail: 'x' }),
      /^unknown: Cannot read .* 403 Forbidden/,
    ],
    ['cannot be asked for', new ApiUnreachable('x', 'ECONNREFUSED'), /^unknown: Cannot read .* ECONNREFUSED/],
    [
      'is of a kind that is not served',
      new ApiError({ request: 'x', status: 404, reason: '', detail: '404 page not found' }),
      /^unknown: The API server knows no such kind/,
    ],
  ])('is unknown when its owner %s', async (_, error, why) => {
    const { told } = await statesOf({ [`${statefulSets}/api`]: error, [`${instances}/vm-1`]: error }, [
      'StatefulSet/pay/api/0',
      'VirtualMachineInstance/pay/vm-1',
      'StatefulSet/pay/gone/0',
    ]);
    expect(told).toEqual([
      expect.stringMatching(why),
      expect.stringMatching(why),
      'ended: StatefulSet pay/gone does not exist',
    ]);
  });

  it('is unknown of a text that is no identity', async () => {
    const { told, asked } = await statesOf({}, ['', 'Deployment/pay/api/0', 'StatefulSet/../../secrets/x/0']);
    expect(told.map((text) => text.split(':')[0])).toEqual(['unknown', 'unknown', 'unknown']);
    expect(asked).toEqual([]);
  });

  it('of an IPAMClaim goes by the object, whatever else the cluster keeps', async () => {
    const claims = '/apis/k8s.cni.cncf.io/v1alpha1/namespaces/pay/ipamclaims';
    const { told } = await statesOf(
      { [`${claims}/stays`]: { metadata: {} }, [`${claims}/goes`]: { metadata: { deletionTimestamp: 'now' } } },
      ['stays', 'goes', 'gone'].map((name) => `IPAMClaim/pay/${name}`),
      { stickyStatefulSets: false, stickyVirtualMachines: false },
    );
    expect(told).toEqual([
      'wanted',
      'ended: IPAMClaim pay/goes is being deleted',
      'ended: IPAMClaim pay/gone does not exist',
    ]);
  });

  it('has ended for all whose addresses the cluster does not keep any more', async () => {
    const identities = ['StatefulSet/pay/api/0', 'VirtualMachineInstance/pay/vm-1'];
    const { told, asked } = await statesOf({}, identities, { stickyStatefulSets: false, stickyVirtualMachines: false });
    expect(told).toEqual([
      'ended: StatefulSets keep no addresses any more',
      'ended: virtual machines keep no addresses any more',
    ]);
    expect(asked).toEqual([]);
  });
});
