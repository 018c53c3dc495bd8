import { describe, expect, it } from '@jest/globals';
import { idOfDirectory, layoutOf, stackDirectory } from './layout.ts';

describe('the layout of a stack', () => {
  it('carries the id in every name that the machine sees', () => {
    const { netns, nodes } = layoutOf('4f2a', '/tmp/orbweaver-4f2a', ['node-a', 'node-b']);
    expect([...Object.values(netns), ...nodes.map((node) => node.netns)]).toEqual([
      'ow-4f2a-control',
      'ow-4f2a-fabric',
      'ow-4f2a-outside',
      'ow-4f2a-node-a',
      'ow-4f2a-node-b',
    ]);
    expect(nodes.map((node) => node.cgroup)).toEqual(['/ow-4f2a-node-a', '/ow-4f2a-node-b']);
  });

  it('gives each node an address of its own', () => {
    const { nodes } = layoutOf('4f2a', '/tmp/x', ['node-a', 'node-b', 'node-c']);
    expect(nodes.map((node) => node.address)).toEqual(['10.222.0.1', '10.222.0.2', '10.222.0.3']);
  });

  it('is found again by the name of its directory', () => {
    expect(idOfDirectory(stackDirectory('4f2a'))).toBe('4f2a');
    expect(idOfDirectory('/tmp/orbweaver-')).toBeUndefined();
    expect(idOfDirectory('/tmp/orbweaver-not an id')).toBeUndefined();
    expect(idOfDirectory('/tmp/elsewhere')).toBeUndefined();
  });

  it.each([
    ['an id with a dash', 'a-b', '/tmp/x', []],
    ['an id in capitals', 'ABC', '/tmp/x', []],
    ['a directory that the nodes hide', 'a', '/run/orbweaver-a', []],
    ['a node named like a part of the stack', 'a', '/tmp/x', ['fabric']],
    ['two nodes of one name', 'a', '/tmp/x', ['node-a', 'node-a']],
    ['a node name that is a path', 'a', '/tmp/x', ['../up']],
    ['a path too long for a unix socket', 'a', `/tmp/${'x'.repeat(80)}`, ['node-a']],
  ])('refuses %s', (_, id, directory, nodes) => {
    expect(() => layoutOf(id, directory, nodes)).toThrow(RangeError);
  });
});
