import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { searchAttributes } from '../../contracts/search-attributes.ts';
import { type Stack, startStack } from '../../deploy/dev/stack.ts';
import { findLeftovers, teardown } from '../../deploy/dev/teardown.ts';
import { repositoryRoot } from '../../deploy/toolchain/parts.ts';
import { devServer } from '../../temporal-config/server.ts';
import { down, kinds } from '../testing/stack-end.ts';

const newId = (): string => randomBytes(3).toString('hex');

describe('two stacks without nodes, side by side', () => {
  let stacks: Stack[] = [];
  beforeAll(async () => {
    stacks = await Promise.all([newId(), newId()].map((id) => startStack({ id, nodes: [] })));
  }, 120_000);
  afterAll(() => Promise.all(stacks.map((stack) => stack.stop())), 60_000);

  it('each have an API server that knows our resources', async () => {
    for (const stack of stacks) {
      const resources = await stack.kubectl('api-resources', '--output', 'name');
      for (const resource of [
        'ipclaims.orbweaver.io',
        'spiderippools.spiderpool.spidernet.io',
        'network-attachment-definitions.k8s.cni.cncf.io',
      ]) {
        expect(resources.split('\n')).toContain(resource);
      }
    }
  });

  it('share no object', async () => {
    const [one, other] = stacks;
    await one?.kubectl('create', 'namespace', 'only-here');
    expect(await other?.kubectl('get', 'namespaces', '--output', 'name')).not.toContain('only-here');
    expect(await one?.kubectl('get', 'namespaces', '--output', 'name')).toContain('only-here');
  });

  it('each have a Temporal server with our namespaces and search attributes, reached through the relay', async () => {
    for (const stack of stacks) {
      const connection = await Connection.connect({ address: stack.temporalAddress });
      try {
        for (const namespace of devServer.namespaces) {
          const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
          expect(Object.keys(customAttributes ?? {})).toEqual(expect.arrayContaining(Object.keys(searchAttributes)));
        }
      } finally {
        await connection.close();
      }
    }
  });

  it('each have a Temporal UI', async () => {
    for (const stack of stacks) {
      const page = await fetch(stack.uiUrl);
      expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html']);
    }
  });

  it('have no link and no route that leads out', async () => {
    for (const { control, fabric, outside } of stacks) {
      for (const place of [control, fabric, outside]) {
        expect(await place.exec(['ip', 'route', 'show', 'default'])).toBe('');
        expect(await place.exec(['ip', '-6', 'route', 'show', 'default'])).toBe('');
      }
    }
  });

  it('reach the outside host over the underlay in both families', async () => {
    for (const { fabric } of stacks) {
      for (const address of ['10.70.255.2', 'fd00:70::ff02']) {
        await expect(fabric.exec(['busybox', 'ping', '-c', '1', '-W', '5', address])).resolves.toContain(
          '1 packets received',
        );
      }
    }
  });

  it('refuse a third with the id of one of them, and leave that one alone', async () => {
    const [one] = stacks;
    await expect(startStack({ id: one?.id ?? '', nodes: [] })).rejects.toThrow('is taken');
    await expect(one?.kubectl('get', '--raw', '/readyz')).resolves.toBe('ok');
  });
});

describe('down', () => {
  it.each([
    { moment: 'while the stack came up', killAt: 'Temporal answers' },
    { moment: 'when it was complete', killAt: 'End it with' },
  ])('leaves nothing of a stack whose owner was killed $moment', async ({ killAt }) => {
    const id = newId();
    const owner = spawn(process.execPath, [join(repositoryRoot, 'deploy/dev/up.ts'), '--id', id, '--nodes', ''], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      for await (const line of createInterface(owner.stdout)) if (line.includes(killAt)) owner.kill('SIGKILL');
      expect(kinds(await findLeftovers(id))).toEqual(new Set(['process', 'network namespace', 'directory']));
      await down(id);
      expect(await findLeftovers(id)).toEqual([]);
    } finally {
      owner.kill('SIGKILL');
      await teardown(id);
    }
  });
});
