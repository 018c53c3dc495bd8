import { describe, expect, it } from '@jest/globals';
import { policyTable, vethMacs, vethOnNode } from './pod-layout.ts';
import { resolveMode } from './resolve-mode.ts';

describe('the truth table of spec/connectivity.md §1.4', () => {
  it.each([
    ['auto', 'eth0', false, 'underlay'],
    ['auto', 'eth0', true, 'underlay'],
    ['auto', 'net1', true, 'underlay'],
    ['auto', 'net1', false, 'overlay'],
    ['underlay', 'eth0', false, 'underlay'],
    ['underlay', 'eth0', true, 'underlay'],
    ['underlay', 'net1', true, 'underlay'],
    ['underlay', 'net1', false, 'Cannot tie "net1" to the node in underlay mode: the pod has no "veth0"'],
    ['overlay', 'net1', false, 'overlay'],
    ['overlay', 'eth0', false, 'Cannot tie "eth0" to the node in overlay mode: it is the pod’s first interface'],
    ['overlay', 'net1', true, 'Cannot tie "net1" to the node in overlay mode: the pod has "veth0"'],
    ['disabled', 'eth0', false, 'disabled'],
    ['disabled', 'net1', true, 'disabled'],
  ] as const)('%s, %s, veth0 there: %s → %s', (mode, ifName, hasVeth, expected) => {
    const found = resolveMode({ mode, ifName, hasVeth, firstNic: 'eth0' });
    const said =
      found.outcome === 'mode' ? found.mode : found.outcome === 'disabled' ? 'disabled' : found.failure.message;
    expect(said.replaceAll("'", '’').startsWith(expected)).toBe(true);
  });
});

describe('names and numbers', () => {
  it.each([
    ['underlay', 'eth0', 101],
    ['underlay', 'net1', 102],
    ['underlay', 'net12', 113],
    ['overlay', 'eth0', 100],
    ['overlay', 'net1', 101],
    ['overlay', 'net2', 102],
    ['overlay', 'storage', 10_007],
    ['overlay', 'net01', 10_007],
    ['overlay', 'net1000', 10_007],
  ] as const)('%s %s has table %i', (mode, ifName, table) => {
    expect(policyTable(mode, { ifName, ifIndex: 7 }, 'eth0')).toBe(table);
  });

  it('the node’s end is named by the container, and no longer than the kernel takes', () => {
    expect(vethOnNode('5b1e00112233445566')).toBe('veth5b1e0011223');
    expect(vethOnNode('5b')).toBe('veth5b');
  });

  it('both ends have local addresses of their own, the same at every call', () => {
    const { pod, node } = vethMacs('5b1e');
    expect(vethMacs('5b1e')).toEqual({ pod, node });
    expect(new Set([pod, node, vethMacs('5b1f').pod]).size).toBe(3);
    for (const mac of [pod, node]) expect(mac).toMatch(/^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/);
  });
});
