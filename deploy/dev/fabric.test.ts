import { describe, expect, it } from '@jest/globals';
import { planFabric } from './fabric.ts';
import { layoutOf } from './layout.ts';

const plan = planFabric(layoutOf('4f2a', '/tmp/x', ['node-a', 'node-b']));

describe('the plan of a stack’s network', () => {
  it('makes nothing but namespaces on the host', () => {
    const onHost = plan.filter(({ netns }) => netns === undefined).flatMap(({ lines }) => lines);
    expect(onHost).toEqual(
      ['control', 'fabric', 'outside', 'node-a', 'node-b'].map((name) => `netns add ow-4f2a-${name}`),
    );
  });

  it('ends every cable in a namespace of the stack', () => {
    const cables = plan.flatMap(({ lines }) => lines).filter((line) => line.includes('type veth'));
    expect(cables.map((line) => / netns (\S+)$/.exec(line)?.[1])).toEqual(
      ['control', 'outside', 'node-a', 'node-a', 'node-b', 'node-b'].map((name) => `ow-4f2a-${name}`),
    );
  });

  it('gives a node one address, on the management network', () => {
    const node = plan.find(({ netns }) => netns === 'ow-4f2a-node-b');
    expect(node?.lines.filter((line) => line.startsWith('address'))).toEqual(['address add 10.222.0.2/24 dev eth0']);
  });
});
