import { describe, expect, it } from '@jest/globals';
import {
  type Client,
  ServiceError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { NamespaceNotFoundError } from '@temporalio/common';
import type { CniResult } from '../../contracts/cni.ts';
import { toApplicationFailure } from '../../temporal-config/failure-conversion.ts';
import { addRequest, detachRequest } from '../../workflows/testing/node-model.ts';
import { Breaker } from './breaker.ts';
import { OpenCalls } from './open-calls.ts';
import { SandboxRuns } from './sandbox-runs.ts';

const request = addRequest();
const workflowId = 'pod/pay/api-0/5bc0ffee';
const result: CniResult = { interfaces: [], ips: [{ address: '10.70.8.20/22' }], routes: [], dns: {} };
const alreadyStarted = () => new WorkflowExecutionAlreadyStartedError('started', workflowId, 'podNetwork');
const notFound = () => new WorkflowNotFoundError('no such run', workflowId, undefined);

/** A Temporal server that answers each call with what the test lined up for it; an error is thrown. */
function open(
  script: Readonly<Record<string, readonly unknown[]>> = {},
  more: { isAway?: boolean; workload?: string } = {},
) {
  const asked: { readonly call: string; readonly options: Readonly<Record<string, unknown>> }[] = [];
  const left = new Map(Object.entries(script).map(([call, answers]) => [call, [...answers]]));
  const answer = async (call: string, options: object = {}): Promise<unknown> => {
    asked.push({ call, options: { ...options } });
    const next = left.get(call)?.shift();
    if (next instanceof Error) throw next;
    return next;
  };
  const client = {
    workflow: {
      start: async (name: string, options: object) => ({
        eagerlyStarted: (await answer(`start ${name}`, options)) !== 'slowly',
      }),
      getHandle: (id: string) => ({
        executeUpdate: (name: string, options: object) => answer(`update ${name} of ${id}`, options),
        terminate: (reason: string) => answer(`terminate ${id}`, { reason }),
      }),
    },
  } as unknown as Client;
  let notEager = 0;
  const runs = new SandboxRuns({
    node: 'r7-n1',
    client: async () => (more.isAway === true ? undefined : client),
    breaker: new Breaker({ probe: () => Promise.resolve(), onChange: () => undefined }),
    workloadOf: () => more.workload,
    onNotEager: () => {
      notEager += 1;
    },
  });
  const add = (wanted = request) => runs.add(wanted, new OpenCalls().open(wanted.nonce, 'ADD', wanted.attachment));
  return { runs, add, asked, calls: () => asked.map(({ call }) => call), notEager: () => notEager };
}

const start = 'start podNetwork';
const update = (name: string) => `update ${name} of ${workflowId}`;

describe('an ADD', () => {
  it("starts the run of its sandbox eagerly on this node's queue, with what people search by", async () => {
    const { add, asked, notEager } = open();
    expect(await add()).toBeUndefined(); // the last step answers
    expect(notEager()).toBe(0);
    expect(asked).toEqual([
      {
        call: start,
        options: expect.objectContaining({
          workflowId,
          taskQueue: 'node/r7-n1',
          args: [request],
          requestEagerStart: true,
          workflowTaskTimeout: '5 seconds',
          staticSummary: 'pay/api-0 on r7-n1',
        }),
      },
    ]);
  });

  it('is an update when the sandbox has a run already, named so that a repetition meets its own outcome', async () => {
    const { add, asked } = open({ [start]: [alreadyStarted()], [update('add')]: [result] });
    expect(await add()).toBe(result);
    expect(asked[1]).toEqual({
      call: update('add'),
      options: { args: [request], updateId: `add/attach/5bc0ffee/underlay/eth0/${request.nonce}` },
    });
  });

  it('saves the refused start for each further interface', async () => {
    const { add, calls } = open({ [update('add')]: [result] });
    await add();
    await add(addRequest('net1', 'b'.repeat(32)));
    expect(calls()).toEqual([start, update('add')]);
  });

  it('starts again when the run ended between look and call', async () => {
    const { add, calls } = open({ [start]: [alreadyStarted()], [update('add')]: [notFound()] });
    expect(await add()).toBeUndefined();
    expect(calls()).toEqual([start, update('add'), start]);
  });

  it('gives up on a run that is now open and now closed', async () => {
    const { add, calls } = open({
      [start]: [alreadyStarted(), alreadyStarted(), alreadyStarted()],
      [update('add')]: [notFound(), notFound(), notFound()],
    });
    await expect(add()).rejects.toThrow('no such run');
    expect(calls()).toHaveLength(6);
  });

  it('fails as the run did', async () => {
    const failure = { type: 'PoolExhausted', message: 'all 3 are in use', remedy: 'extend it' } as const;
    const failed = new WorkflowUpdateFailedError('Workflow Update failed', toApplicationFailure(failure));
    const { add } = open({ [start]: [alreadyStarted()], [update('add')]: [failed] });
    await expect(add()).rejects.toMatchObject(failure);
  });

  it('whose connection breaks is told that Temporal is away, and why', async () => {
    const broken = new ServiceError('Failed to start Workflow', { cause: new Error('transport error') });
    const { add } = open({ [start]: [broken] });
    await expect(add()).rejects.toMatchObject({
      type: 'TemporalUnavailable',
      message: 'Cannot record the request durably: Temporal failed the call: transport error',
    });
  });

  it('meets a server that cannot read its namespace now, and may be repeated', async () => {
    const { add } = open({ [start]: [new NamespaceNotFoundError('orbweaver')] });
    await expect(add()).rejects.toMatchObject({ type: 'TemporalUnavailable' });
  });

  it('counts a start that was not eager', async () => {
    const { add, notEager } = open({ [start]: ['slowly'] });
    await add();
    expect(notEager()).toBe(1);
  });

  it('fails at once while Temporal was never reached', async () => {
    const { add, calls } = open({}, { isAway: true });
    await expect(add()).rejects.toMatchObject({ type: 'TemporalUnavailable' });
    expect(calls()).toEqual([]);
  });
});

describe('a DEL', () => {
  it('is an update of the run', async () => {
    const { runs, asked } = open();
    const detach = detachRequest(request);
    expect(await runs.detach(detach)).toBe('detached');
    expect(asked).toEqual([
      {
        call: update('detach'),
        options: { args: [detach], updateId: `detach/attach/5bc0ffee/underlay/eth0/${detach.nonce}` },
      },
    ]);
  });

  it('says when no run is there to ask', async () => {
    const { runs } = open({ [update('detach')]: [notFound()] });
    expect(await runs.detach(detachRequest(request))).toBe('no-run');
  });

  it('fails as the run did', async () => {
    const failed = new WorkflowUpdateFailedError(
      'Workflow Update failed',
      toApplicationFailure({ type: 'Superseded', message: 'taken over' }),
    );
    const { runs } = open({ [update('detach')]: [failed] });
    await expect(runs.detach(detachRequest(request))).rejects.toMatchObject({ type: 'Superseded' });
  });

  it('forgets the sandbox: ten thousand that came and went leave nothing behind', async () => {
    const { runs, add, calls } = open();
    await add();
    await runs.detach(detachRequest(request));
    await add();
    expect(calls()).toEqual([start, update('detach'), start]);
  });
});

describe('a termination', () => {
  it('says why', async () => {
    const { runs, asked } = open();
    await runs.terminate(detachRequest(request), 'it did not react');
    expect(asked).toEqual([{ call: `terminate ${workflowId}`, options: { reason: 'it did not react' } }]);
  });

  it('of a run that is gone is done', async () => {
    const { runs } = open({ [`terminate ${workflowId}`]: [notFound()] });
    await expect(runs.terminate(detachRequest(request), 'it did not react')).resolves.toBeUndefined();
  });
});

describe('the workload that a run is found by', () => {
  const workloadOf = ({ asked }: ReturnType<typeof open>): unknown => {
    const attributes = asked[0]?.options['typedSearchAttributes'] as {
      get(key: object): unknown;
      getAll(): { key: { name: string }; value: unknown }[];
    };
    return attributes.getAll().find(({ key }) => key.name === 'Workload')?.value;
  };

  it.each([
    ['ReplicaSet/pay/api', 'ReplicaSet/pay/api'],
    ['x'.repeat(300), 'x'.repeat(200)],
    [undefined, undefined],
  ])('of %s is told as %s', async (workload, told) => {
    const opened = open({}, workload === undefined ? {} : { workload });
    await opened.add();
    expect(workloadOf(opened)).toBe(told);
  });
});
